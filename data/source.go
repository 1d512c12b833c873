package data

import (
	"context"
)

// Source is an open data set. It is safe for several goroutines that only read.
type Source interface {
	Info() Info
	Part(Part) Samples // never nil; an empty one has length 0
}

// Info describes an open set.
type Info struct {
	Name       string
	Dir        string    // the folder that the files came from; "" for what never was in files
	Subset     bool      // the files have less than the official set; Options.Limit does not count
	Own        bool      // the user's own files: their folders name the classes
	Classes    []string  // names, label 0 first
	Counts     []int     // training samples of each class; nil where they are not known before they are read
	Samples    int       // training samples; 0 where nobody has counted them
	MultiLabel bool      // a sample has any number of classes: batches have Has in place of Labels
	Shape      Shape     // of one sample
	Mean, Std  []float64 // of byte samples: one value a channel, of values in [0, 1]; nil otherwise
	Notes      []string  // lines for the user, such as that the set is a subset
}

// Part names a part of a set.
type Part string

// The parts of a set.
const (
	Train      Part = "train"
	Validation Part = "validation"
	Test       Part = "test"
)

// Word names the part's samples in a message: "training", "validation" or "test".
func (p Part) Word() string {
	if p == Train {
		return "training"
	}
	return string(p)
}

// Shape is the size of one sample: channels, rows, columns. A vector of n values is n × 1 × 1, a sequence of n is 1 × 1 × n.
type Shape struct{ C, H, W int }

// Size returns the number of values of one sample.
func (s Shape) Size() int { return s.C * s.H * s.W }

// Samples are labelled samples in a fixed order. Nothing writes to them, so several Batches may read them at a time.
type Samples interface {
	Len() int

	// Subset returns the samples at the given positions, in that order. Positions are from 0 to Len-1.
	Subset(positions []int) Samples

	// Batches starts one epoch. The caller closes it. It panics on options that are not allowed.
	Batches(BatchOptions) Batches
}

// Grouped is implemented by [Samples] that may stand class by class, so that the first n of them would not do for all.
type Grouped interface{ ByClass() bool }

// Labelled is implemented by [Samples] that know the labels of their samples without reading them.
type Labelled interface{ Label(position int) int }

// MultiLabelled is implemented by [Samples] each of which may have any number of classes. Where MultiLabel returns false, they
// have one each, and are [Labelled].
type MultiLabelled interface {
	MultiLabel() bool

	// Classes returns the classes of a sample, ascending. Nothing may be written to them.
	Classes(position int) []uint16
}

// Titled is implemented by [Samples] that know their samples by names, such as those of files.
type Titled interface{ Title(position int) string }

// Tolerant is implemented by [Samples] some of which may turn out to be broken when they are read.
type Tolerant interface {
	Samples

	// Tolerate returns the same samples, which count the broken ones as those of a part, and stop with a fault that wraps
	// ErrBroken above most of them.
	Tolerate(part Part, most Portion) Samples

	// OnBroken has notice called with a line for each broken sample, once, when it is come across.
	OnBroken(notice func(string))
}

// OnBroken has notice called with a line for each sample of the set that cannot be read, once, when it is come across.
func OnBroken(s Source, notice func(string)) {
	for _, part := range []Part{Train, Validation, Test} {
		if t, ok := s.Part(part).(Tolerant); ok {
			t.OnBroken(notice)
		}
	}
}

// Batches delivers the batches of one epoch in order. Which samples they hold, in which order and how augmented, follows from
// the options' seed, epoch and the batch's index alone: neither from Workers nor from Start.
type Batches interface {
	// Next waits for the next batch, which is on loan: its slices are the caller's until the following call of Next. After the
	// last batch the error is io.EOF, after Close it is ErrClosed. If ctx ends first it is ctx's, no batch is lost and Next may
	// be called again. With too many broken samples it is a fault that wraps ErrBroken. Next is for one goroutine at a time.
	Next(ctx context.Context) (Batch, error)

	// Close ends what works for the batches, and waits for it. It may be called at any time, and more than once.
	Close()
}

// BatchOptions say which batches are made. Batch must be at least 1, Epoch and Start must not be negative.
type BatchOptions struct {
	Batch    int  // samples a batch
	Workers  int  // goroutines; below 1 counts as 1; the batches do not depend on it
	Ahead    int  // batches to have ready while the last one is in use; each worker has at least one, whatever this says
	Augment  bool // change the samples as the set's options ask for training; without it they are as evaluation has them
	Views    int  // 2 for a second view of each sample in Batch.Second; 0 and 1 for none
	Shuffle  bool
	Order    []int  // positions to visit, in place of what Shuffle and Seed make of all of them; nil for those
	Seed     uint64 // the root that order and augmentation derive from, with Epoch and the sample's position in it
	Epoch    int
	Start    int  // index of the first batch to deliver: where a resumed epoch goes on
	KeepLast bool // for evaluation: deliver a last batch that is not full, and no samples in place of broken ones

	// Of every batch, the Part-th of Parts equal parts is made, counted from 0; 0 and 1 parts mean whole batches. What is
	// drawn for a sample is the same in every division. Parts must divide Batch.
	Part, Parts int
}

// Span returns the positions first … end−1 of the epoch's order that batch i has, of n samples.
func (o BatchOptions) Span(i, n int) (first, end int) {
	first, end = i*o.Batch, min((i+1)*o.Batch, n)
	if o.Parts > 1 {
		first += o.Part * (o.Batch / o.Parts)
		end = min(first+o.Batch/o.Parts, end)
	}
	return first, max(first, end)
}

// Values are those of the samples of a batch, one after the other. One of the slices holds them, the others are nil.
type Values struct {
	Bytes  []byte // channels last: N × H × W × C
	Floats []float32
	Ints   []int64
}

// Batch is some samples in the order that the epoch visits them.
type Batch struct {
	N     int
	Shape Shape // of one sample
	Values
	Second   Values  // the same samples, augmented anew; empty unless two views were asked for
	Labels   []int64 // N classes; nil where samples have any number of them
	Has      []byte  // N × classes, 1 where a sample has a class and 0 elsewhere; nil where each sample has one class
	Places   []int   // N positions in the samples that the batch is of; nil where nobody says
	Partners []int64 // classes of the samples that were mixed in; nil unless the set mixes
	Weight   float64 // of Labels in a soft target, where Partners have 1−Weight; 1 without mixing
	Epoch    int
	Index    int // of the batch in its epoch, from 0
}
