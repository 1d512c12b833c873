package data

// The values of Options.Augment: how training images are cropped. Package data/images does it.
const (
	AugmentNone        = "none"
	AugmentCropFlip    = "crop-flip"    // pad by Pad zeros, crop at random, mirror as Mirror says
	AugmentResizedCrop = "resized-crop" // a random part of random shape, scaled; mirrored with probability Flip
	AugmentBarlow      = "barlow"       // resized-crop and the colours of Barlow Twins (Zbontar et al. 2021)
)

// The values of Options.Mirror: when crop-flip mirrors an image. "" means the first.
const (
	MirrorChance = "chance" // with probability ½
	MirrorTurns  = "turns"  // every second epoch
)

// CropOptions is the `data.crop:` section: torchvision's RandomResizedCrop.
type CropOptions struct {
	Scale []float64 `recipe:"scale" default:"0.08,1" min:"0.0001" max:"1" doc:"least and largest part of the image's area that resized-crop takes"`
	Ratio []float64 `recipe:"ratio" default:"0.75,1.3333333333333333" min:"0.01" max:"100" doc:"least and largest width over height that resized-crop takes"`
}

// JitterOptions is the `data.jitter:` section: torchvision's ColorJitter, applied with probability P.
type JitterOptions struct {
	P          float64 `recipe:"p" default:"1" min:"0" max:"1" doc:"probability of colour jitter"`
	Brightness float64 `recipe:"brightness" default:"0" min:"0" max:"100" doc:"factor from 1−brightness, at least 0, to 1+brightness; 0 for none"`
	Contrast   float64 `recipe:"contrast" default:"0" min:"0" max:"100" doc:"the same for contrast"`
	Saturation float64 `recipe:"saturation" default:"0" min:"0" max:"100" doc:"the same for saturation"`
	Hue        float64 `recipe:"hue" default:"0" min:"0" max:"0.5" doc:"turn of the colour circle, from −hue to hue; 0.5 is half a turn; 0 for none"`
}

// RandAugmentOptions is the `data.rand_augment:` section: torchvision's RandAugment with its 31 magnitudes, which fills
// with black and takes the nearest pixel.
type RandAugmentOptions struct {
	Ops       int `recipe:"ops" default:"0" min:"0" max:"64" doc:"operations an image, drawn with replacement (n); 0 for none, 2 is usual"`
	Magnitude int `recipe:"magnitude" default:"9" min:"0" max:"30" doc:"strength of the operations (m)"`
}

// EraseOptions is the `data.erase:` section: torchvision's RandomErasing, which fills with the mean colour.
type EraseOptions struct {
	P     float64   `recipe:"p" default:"0" min:"0" max:"1" doc:"probability of erasing a rectangle; 0 for never, 0.25 is usual"`
	Scale []float64 `recipe:"scale" default:"0.02,0.33" min:"0.0001" max:"1" doc:"least and largest part of the image's area that is erased"`
	Ratio []float64 `recipe:"ratio" default:"0.3,3.3" min:"0.01" max:"100" doc:"least and largest height over width of what is erased"`
}
