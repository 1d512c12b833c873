package record

import "google.golang.org/protobuf/encoding/protowire"

// layout is what TensorBoard's dashboard "Custom Scalars" shows: the modules of a run together, a chart a quantity.
var layout = []category{
	{"Modules", []chart{
		{"accuracy of each module's head (%)", []string{`^accuracy/module_\d+$`}},
		{"loss of each module", []string{`^loss/module_\d+$`}},
		{"SGR: cosine between neighbours' gradients", []string{`^sgr_cos/module_\d+$`}},
		{"SGR: its loss", []string{`^sgr_loss/module_\d+$`}},
		{"pipeline: seconds at work and waiting", []string{`^busy_seconds/module_\d+$`, `^wait_seconds/module_\d+$`}},
	}},
	{"Run", []chart{
		{"accuracy (%)", []string{`^test/accuracy$`, `^validation/accuracy$`, `^train/accuracy$`}},
		{"loss", []string{`^train/loss$`, `^train/epoch_loss$`, `^test/loss$`}},
		{"memory of tensors (bytes)", []string{`^memory/peak_bytes$`, `^memory/resting_bytes$`}},
		{"images a second", []string{`^speed/images_per_second$`, `^speed/epoch_images_per_second$`}},
	}},
}

type category struct {
	title  string
	charts []chart
}

// chart has a line for each tag that matches one of the expressions.
type chart struct {
	title string
	tags  []string
}

// Field numbers of summary.proto, tensor.proto and the plugin's layout.proto, and a value of types.proto.
const (
	fieldTensor       = 8
	fieldTensorType   = 1
	fieldTensorShape  = 2
	fieldTensorString = 8
	typeTensorString  = 7

	fieldCategory  = 2 // of Layout
	fieldTitle     = 1 // of Category and Chart
	fieldChart     = 2 // of Category
	fieldMultiline = 2 // of Chart
	fieldChartTag  = 1

	layoutPlugin = "custom_scalars"
	tagLayout    = "custom_scalars__config__"
)

// layoutSummary is a Summary of one value, a scalar tensor of one string: the layout.
func layoutSummary(categories []category) []byte {
	var l []byte
	for _, c := range categories {
		m := message(nil, fieldTitle, []byte(c.title))
		for _, chart := range c.charts {
			var tags []byte
			for _, tag := range chart.tags {
				tags = message(tags, fieldChartTag, []byte(tag))
			}
			m = message(m, fieldChart, message(message(nil, fieldTitle, []byte(chart.title)), fieldMultiline, tags))
		}
		l = message(l, fieldCategory, m)
	}
	tensor := protowire.AppendTag(nil, fieldTensorType, protowire.VarintType)
	tensor = protowire.AppendVarint(tensor, typeTensorString)
	tensor = message(message(tensor, fieldTensorShape, nil), fieldTensorString, l)
	value := message(nil, fieldTag, []byte(tagLayout))
	value = message(value, fieldTensor, tensor)
	value = message(value, fieldMetadata, message(nil, fieldPluginData, message(nil, fieldPluginName, []byte(layoutPlugin))))
	return message(nil, fieldValue, value)
}
