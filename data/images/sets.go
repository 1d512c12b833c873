package images

import (
	"path/filepath"
	"slices"
	"strconv"

	"github.com/locus-learn/locus/data"
)

// spec is all that is known of a set before its files are read.
type spec struct {
	name      string
	doc       string // a line for lists
	shape     data.Shape
	classes   []string // fixed names, label 0 first
	namesFile string   // where the set keeps the names itself; optional on disk
	mean, std []float64
	folders   []string // the usual sub-folders, under a candidate folder
	train     split
	test      split
	labels    int    // CIFAR: label bytes before the pixels of a record, the last of which counts; 0 for IDX
	opening   string // IDX: the first ten labels, because MNIST and Fashion-MNIST share their file names
	get       string // how to get the set

	// Of image folders and shards only, whose classes and sizes are known when they are open:
	holds  func(dir string) bool // whether the set may be in dir
	trains func(dir string) bool // whether dir has its training part
	scan   func(dir, part string) (p *photos, perClass map[string]int, err error)
	layout string // what dir must hold
}

// split is the official size and the files of a training or test set.
type split struct {
	images int
	files  []string
}

const cifarHome = "https://www.cs.toronto.edu/~kriz/cifar.html"

var specs = []*spec{
	{
		name:  "fashion-mnist",
		doc:   "grey images of clothes, 28×28 pixels",
		shape: data.Shape{C: 1, H: 28, W: 28},
		classes: []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
			"Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
		mean: []float64{0.2860}, std: []float64{0.3530},
		folders: []string{"fashion-mnist", "FashionMNIST/raw"},
		train:   idxTrain, test: idxTest,
		opening: "\x09\x00\x00\x03\x00\x02\x07\x02\x05\x05",
		get:     "apt-get install dataset-fashion-mnist, or the four files from https://github.com/zalandoresearch/fashion-mnist",
	},
	{
		name:    "mnist",
		doc:     "grey images of digits, 28×28 pixels",
		shape:   data.Shape{C: 1, H: 28, W: 28},
		classes: numbers(10),
		mean:    []float64{0.1307}, std: []float64{0.3081},
		folders: []string{"mnist", "MNIST/raw"},
		train:   idxTrain, test: idxTest,
		opening: "\x05\x00\x04\x01\x09\x02\x01\x03\x01\x04",
		get:     "the four .gz files from https://ossci-datasets.s3.amazonaws.com/mnist or another mirror",
	},
	{
		name:  "cifar10",
		doc:   "small colour images of 10 kinds of things, 32×32 pixels",
		shape: data.Shape{C: 3, H: 32, W: 32},
		classes: []string{"airplane", "automobile", "bird", "cat", "deer",
			"dog", "frog", "horse", "ship", "truck"},
		namesFile: "batches.meta.txt",
		mean:      []float64{0.4914, 0.4822, 0.4465}, std: []float64{0.2470, 0.2435, 0.2616},
		folders: []string{"cifar-10-batches-bin", "cifar10"},
		train: split{50_000, []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
			"data_batch_4.bin", "data_batch_5.bin"}},
		test:   split{10_000, []string{"test_batch.bin"}},
		labels: 1,
		get:    "unpack \"CIFAR-10 binary version\" from " + cifarHome,
	},
	{
		name:      "cifar100",
		doc:       "small colour images of 100 kinds of things, 32×32 pixels",
		shape:     data.Shape{C: 3, H: 32, W: 32},
		classes:   numbers(100),
		namesFile: "fine_label_names.txt",
		mean:      []float64{0.5071, 0.4865, 0.4409}, std: []float64{0.2673, 0.2564, 0.2762},
		folders: []string{"cifar-100-binary", "cifar100"},
		train:   split{50_000, []string{"train.bin"}},
		test:    split{10_000, []string{"test.bin"}},
		labels:  2, // coarse, then fine
		get:     "unpack \"CIFAR-100 binary version\" from " + cifarHome,
	},
	{
		name: "folder", doc: "photographs of your own in folders, one a class", shape: data.Shape{C: 3}, mean: imageNetMean, std: imageNetStd,
		holds: holdsFolders, trains: func(dir string) bool { return holdsFolder(dir, trainPart) }, scan: func(dir, part string) (*photos, map[string]int, error) { return scanFolder(filepath.Join(dir, part)) },
		layout: "train/CLASS/* and val/CLASS/*, images in JPEG, PNG or WebP",
		get:    "put your images into train/CLASS/ and val/CLASS/ of a folder; ImageNet's are at https://image-net.org",
	},
	{
		name: "multi-folder", doc: "photographs of your own in folders, in that of each class they have", shape: data.Shape{C: 3}, mean: imageNetMean, std: imageNetStd,
		holds: holdsFolders, trains: func(dir string) bool { return holdsFolder(dir, trainPart) }, scan: func(dir, part string) (*photos, map[string]int, error) { return scanSeveral(filepath.Join(dir, part)) },
		layout: "train/CLASS/* and val/CLASS/*, images in JPEG, PNG or WebP, each in the folder of every class it has",
		get:    "put your images into train/CLASS/ and val/CLASS/ of a folder, as copies or links in the folder of each class they have",
	},
	{
		name: "tar", doc: "photographs of your own in tar files", shape: data.Shape{C: 3}, mean: imageNetMean, std: imageNetStd,
		holds: holdsShards, trains: func(dir string) bool { return holdsShard(dir, trainPart) }, scan: scanShards,
		layout: "shards train*.tar and val*.tar, uncompressed, with entries CLASS/NAME, or NAME.jpg and NAME.cls, images in JPEG, PNG or WebP",
		get:    "pack a folder's parts: cd DIR/train && tar -cf ../train-000.tar *; cd ../val && tar -cf ../val-000.tar *",
	},
	{
		name: "csv", doc: "photographs of your own that tables name", shape: data.Shape{C: 3}, mean: imageNetMean, std: imageNetStd,
		holds: holdsTables, trains: func(dir string) bool { return holdsTable(dir, trainPart) }, scan: scanTable,
		layout: "train.csv and val.csv, which begin with path,label and then have an image in JPEG, PNG or WebP and its class a line; or with path,labels, or path and a column a class, for several classes",
		get:    "write train.csv and val.csv, with lines such as images/1.jpg,cat behind the first one, path,label",
	},
}

// ImageNet's, which networks for photographs are usually trained with.
var (
	imageNetMean = []float64{0.485, 0.456, 0.406}
	imageNetStd  = []float64{0.229, 0.224, 0.225}
)

var (
	idxTrain = split{60_000, []string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}}
	idxTest  = split{10_000, []string{"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}}
)

func init() {
	for _, s := range specs {
		data.Register(s.entry())
	}
}

func (s *spec) entry() data.Entry {
	return data.Entry{
		Name: s.name, Doc: s.doc, Open: s.Open, Check: s.check,
		Home: &data.Home{
			Shape: s.shape, Classes: len(s.classes), Train: s.train.images, Test: s.test.images, Own: s.scan != nil,
			Files: s.files(), Get: s.get,
			Find: func(dirs []string) (dir string, looked []string) {
				looked = s.roots(dirs)
				dir, _ = s.locate(looked)
				return dir, looked
			},
			Check: s.checkAll,
		},
	}
}

// lookup finds a set of this package.
func lookup(name string) (*spec, bool) {
	for _, s := range specs {
		if s.name == name {
			return s, true
		}
	}
	return nil, false
}

// read reads the files of one split from dir.
func (s *spec) read(dir string, part split) (Images, error) {
	if s.labels > 0 {
		return s.readCIFAR(dir, part)
	}
	return s.readIDX(dir, part)
}

func (s *spec) files() []string { return slices.Concat(s.train.files, s.test.files) }

func numbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strconv.Itoa(i)
	}
	return out
}
