// Package method names the points in the space of compositions that package local opens: methods with their options, what
// they claim of themselves, and how they are found by name.
//
// A method is one small file here, or in a program of one's own, which adds it by [Register]. Package methodtest tries
// what it claims.
package method

import (
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
)

// Method is a named point in the space of compositions.
type Method struct {
	Name, Doc string
	Claims    Claims
	Cut       Cut
	Head      string              // the local head that the method prescribes; "" leaves the choice to the recipe
	LastHead  bool                // it takes the place of the network's own classifier, too
	Aux       string              // what else modules need, by its name in zoo; "" for nothing
	Check     func(Options) error // a fault if the method has no use for such options; nil where any will do
	Compose   func(Options) (local.Rule, local.Schedule)

	// A fault if the method cannot train such a network; nil where it trains any.
	Fits func(blocks []nn.Block, classifier nn.Layer) error
	// The values of method.gradient that it has besides auto; nil for sgr's.
	GradientOptions []string
}

// Cut says where a method cuts the network.
type Cut int

const (
	Anywhere   Cut = iota // into method.modules or at method.cuts
	Nowhere               // one module: the gradient crosses the whole network
	Everywhere            // each block is a module
)

// Claims are the columns of Table 1, as a method declares them; package methodtest checks them.
type Claims struct {
	Backward  Extent // how far back-propagation goes
	Locking   Extent // whether an update waits for modules behind: for their forward and backward passes (Whole), for the forward ones (Inside: "partly"), or for none
	Transport Extent // where a backward pass needs the transposes of the forward weights
	Trains    string // what is trained when
	Descends  bool   // updates follow the gradients of the modules' objectives and terms
}

// Extent is how far something reaches: through the whole network, inside a module, or nowhere.
type Extent int

const (
	Never Extent = iota
	Inside
	Whole
)

// isolated is what methods claim whose modules learn by back-propagation, each on its own.
var isolated = Claims{Backward: Inside, Locking: Never, Transport: Inside, Descends: true, Trains: "all modules on each batch"}

// backpropFree are the claims of methods in which no gradient flows back through a layer.
func backpropFree(locking Extent, trains string) Claims {
	return Claims{Backward: Never, Locking: locking, Transport: Never, Trains: trains}
}

// descends says of claims that updates follow the gradients of the modules' objectives and terms.
func descends(c Claims) Claims {
	c.Descends = true
	return c
}
