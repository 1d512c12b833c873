package record

import (
	"encoding/binary"
	"math"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protowire"
)

// HParams is one session of TensorBoard's HParams plugin: what a run was set to, and what it came to.
type HParams struct {
	Group   string   // sessions of one group are shown as one row, with the mean of their metrics
	Values  []HParam // each name once
	Metrics []Metric
	Failed  bool
}

// HParam is a setting: a number, or a text where Text is not empty.
type HParam struct {
	Name, Text string
	Number     float64
}

// Metric is a figure of a session, by its tag.
type Metric struct {
	Tag   string
	Value float64
}

// hparamsFile has no time in its name, since it is written as a whole, in the place of an older one.
const hparamsFile = "events.out.tfevents.0000000000.hparams"

// Field numbers of summary.proto's metadata and of the plugin's plugin_data.proto and api.proto, and the values of its enums.
const (
	fieldMetadata   = 9
	fieldPluginData = 1
	fieldPluginName = 1
	fieldContent    = 2

	fieldExperiment   = 2
	fieldSessionStart = 3
	fieldSessionEnd   = 4

	fieldHParams      = 1 // of SessionStartInfo: a map from names to google.protobuf.Value
	fieldGroupName    = 4
	fieldEndStatus    = 1 // of SessionEndInfo
	statusSuccess     = 1
	statusFailure     = 2
	fieldHParamInfos  = 4 // of Experiment
	fieldMetricInfos  = 5
	fieldInfoName     = 1
	fieldInfoType     = 4
	typeString        = 1
	typeFloat         = 3
	fieldMetricTag    = 2 // of MetricName
	fieldNumberValue  = 2 // of google.protobuf.Value
	fieldStringValue  = 3
	fieldMapKey       = 1
	fieldMapValue     = 2
	hparamsPlugin     = "hparams"
	tagHParams        = "_hparams_/experiment"
	tagSessionStarted = "_hparams_/session_start_info"
	tagSessionEnded   = "_hparams_/session_end_info"
)

// WriteHParams writes a session into an event file of its own in dir, which must exist: the plugin's three summaries, and a
// scalar a metric.
func WriteHParams(dir string, h HParams) error {
	var out []byte
	add := func(field protowire.Number, content []byte) {
		b := protowire.AppendTag(nil, field, protowire.BytesType)
		out = append(out, frame(protowire.AppendBytes(b, content))...)
	}
	add(fieldFileVersion, []byte("brain.Event:2"))
	add(fieldSummary, hparamsSummary(tagHParams, fieldExperiment, h.experiment()))
	add(fieldSummary, hparamsSummary(tagSessionStarted, fieldSessionStart, h.start()))
	var v scalars
	for _, m := range h.Metrics {
		if !math.IsNaN(m.Value) {
			v.add(m.Tag, m.Value)
		}
	}
	if len(v) > 0 {
		add(fieldSummary, v)
	}
	status := uint64(statusSuccess)
	if h.Failed {
		status = statusFailure
	}
	end := protowire.AppendTag(nil, fieldEndStatus, protowire.VarintType)
	add(fieldSummary, hparamsSummary(tagSessionEnded, fieldSessionEnd, protowire.AppendVarint(end, status)))
	return replaceFile(filepath.Join(dir, hparamsFile), out)
}

// message appends a field that holds a message or a text.
func message(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), content)
}

// hparamsSummary is a Summary of one value that has the plugin's data for content.
func hparamsSummary(tag string, field protowire.Number, content []byte) []byte {
	plugin := message(nil, fieldPluginName, []byte(hparamsPlugin))
	plugin = message(plugin, fieldContent, message(nil, field, content))
	value := message(nil, fieldTag, []byte(tag))
	value = message(value, fieldMetadata, message(nil, fieldPluginData, plugin))
	return message(nil, fieldValue, value)
}

// experiment says which settings and metrics there are.
func (h HParams) experiment() (b []byte) {
	for _, p := range h.Values {
		kind := uint64(typeFloat)
		if p.Text != "" {
			kind = typeString
		}
		info := message(nil, fieldInfoName, []byte(p.Name))
		info = protowire.AppendTag(info, fieldInfoType, protowire.VarintType)
		b = message(b, fieldHParamInfos, protowire.AppendVarint(info, kind))
	}
	for _, m := range h.Metrics {
		b = message(b, fieldMetricInfos, message(nil, fieldInfoName, message(nil, fieldMetricTag, []byte(m.Tag))))
	}
	return b
}

// start has the settings.
func (h HParams) start() (b []byte) {
	for _, p := range h.Values {
		var value []byte
		if p.Text != "" {
			value = message(nil, fieldStringValue, []byte(p.Text))
		} else {
			value = protowire.AppendTag(nil, fieldNumberValue, protowire.Fixed64Type)
			value = binary.LittleEndian.AppendUint64(value, math.Float64bits(p.Number))
		}
		b = message(b, fieldHParams, message(message(nil, fieldMapKey, []byte(p.Name)), fieldMapValue, value))
	}
	return message(b, fieldGroupName, []byte(h.Group))
}
