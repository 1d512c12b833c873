package safetensors_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/locus-learn/locus/safetensors"
)

// A file has named tensors and metadata. Any reader of the format can open it.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "weights.safetensors")
	data := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5))
	data = binary.LittleEndian.AppendUint32(data, math.Float32bits(-2))
	tensors := []safetensors.Tensor{{Name: "fc.bias", DType: safetensors.F32, Shape: []int64{2}, Data: data}}
	if err := safetensors.Write(path, tensors, map[string]string{"made by": "an example"}); err != nil {
		fmt.Println(err)
		return
	}
	file, err := safetensors.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	for _, name := range file.Names() {
		info, _ := file.Info(name)
		bytes, err := file.Read(name)
		fmt.Println(name, info.DType, info.Shape, len(bytes), "bytes", err)
	}
	fmt.Println(file.Metadata())
	// Output:
	// fc.bias F32 [2] 8 bytes <nil>
	// map[made by:an example]
}
