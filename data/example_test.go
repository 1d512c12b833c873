package data_test

import (
	"context"
	"fmt"

	"github.com/locus-learn/locus/data"
)

// Own data in memory is a source like any other: here four points of two classes.
func ExampleFromFloats() {
	table := data.Table{Floats: []float32{0, 0, 0, 1, 1, 0, 1, 1}, Labels: []int64{0, 1, 1, 0}}
	source, err := data.FromFloats(data.Shape{C: 2}, table, data.Table{})
	if err != nil {
		fmt.Println(err)
		return
	}
	batches := source.Part(data.Train).Batches(data.BatchOptions{Batch: 2, Shuffle: true, Seed: 1})
	defer batches.Close()
	b, err := batches.Next(context.Background())
	fmt.Println(b.N, len(b.Floats), len(b.Labels), err)
	// Output: 2 4 2 <nil>
}
