package method

// dgl is decoupled greedy learning (Belilovsky et al. 2020): layer-wise learning with a head of its own.
var dgl = Method{
	Name: "dgl", Doc: "decoupled greedy learning: layer-wise with the head mlp-sr (Belilovsky et al. 2020)",
	Claims: isolated, Head: "dgl", Fits: needsMaps("dgl"),
	Compose: layerwise.Compose,
}
