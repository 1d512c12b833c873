// Package data is what training asks of data: a [Source] with its parts, and batches of them.
//
// A source is opened by its name in a recipe, or made of what is in memory. Its path is
//
//	Register, Memory → Source → Part(Train) → Batches → Next → Batch
//
// Package data/images registers the sets of images, among them folders and archives of photographs. A program of one's own
// registers others, and then the recipe's data.set and the whole command know them:
//
//	data.Register(data.Entry{Name: "rings", Doc: "two rings of points", Open: openRings})
//
// Samples are bytes, floats or integers in ordinary slices: nothing here needs libtorch. Whoever trains turns them into tensors.
//
// The goroutines of the package belong to a [Loader], which documents them, and which [Loader.Close] ends.
package data
