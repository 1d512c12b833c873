// Package images has the image sets of package data: MNIST's and CIFAR's files, folders and tar files of photographs; how
// photographs are decoded, cropped and recoloured; and what training makes of them. Importing it registers the sets.
//
// Images are unsigned bytes, channels last. A small set is held in memory. Of an image folder or tar files, only the places of
// the images are; each is read and decoded anew, by the goroutines of a [data.Loader], whenever a batch needs it.
//
// Checking a set of photographs runs goroutines of its own, and waits for them.
package images
