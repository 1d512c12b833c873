package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/locus-learn/locus/torch"
)

func TestEveryHeadLearns(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out, 100); err != nil {
		t.Fatal(err)
	}
	for k := 1; k <= 2; k++ {
		var module, right, all int
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscanf(line, "module %d answers %d of %d right", &module, &right, &all); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if module != k || 100*right < 95*all {
			t.Errorf("%q: want module %d, and more than 95 %% right", line, k)
		}
	}
	if n := torch.LiveTensors(); n != 0 {
		t.Errorf("%d tensors outlive the training", n)
	}
}
