package model

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/safetensors"
)

// source is a file of named tensors.
type source interface {
	Names() []string
	Metadata() map[string]string
	Info(name string) (safetensors.Info, bool)
	Read(name string) ([]byte, error)
	Close() error
}

// prefixes are what training programs put before all names of a network.
var prefixes = []string{"module.", "_orig_mod.", "model.", "backbone."}

// dialect is how a library names the tensors of a family of networks, where that is not as the zoo does.
type dialect struct {
	library string
	mark    *regexp.Regexp // a name that gives it away
	rules   []rule
	drop    *regexp.Regexp // names of what the zoo's networks do without; nil for none
}

// rule turns names of a form into the zoo's: $1 and so on stand for groups, and {1*2+1} for numbers made of them. A part of a
// name of three, for query, key and value, is joined with the others by [translated].
type rule struct {
	form *regexp.Regexp
	to   string
}

func rules(pairs ...string) (all []rule) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, rule{regexp.MustCompile("^" + pairs[i] + "$"), pairs[i+1]})
	}
	return all
}

var dialects = []dialect{
	{"Hugging Face, ViT", regexp.MustCompile(`(^|\.)encoder\.layer\.\d+\.attention\.attention\.query\.weight$`), rules(
		`(?:vit\.)?embeddings\.cls_token`, "cls_token",
		`(?:vit\.)?embeddings\.position_embeddings`, "pos_embed",
		`(?:vit\.)?embeddings\.patch_embeddings\.projection\.(.*)`, "patch_embed.proj.$1",
		`(?:vit\.)?encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.(.*)`, "blocks.$1.attn.qkv.$3|$2",
		`(?:vit\.)?encoder\.layer\.(\d+)\.attention\.output\.dense\.(.*)`, "blocks.$1.attn.proj.$2",
		`(?:vit\.)?encoder\.layer\.(\d+)\.intermediate\.dense\.(.*)`, "blocks.$1.mlp.fc1.$2",
		`(?:vit\.)?encoder\.layer\.(\d+)\.output\.dense\.(.*)`, "blocks.$1.mlp.fc2.$2",
		`(?:vit\.)?encoder\.layer\.(\d+)\.layernorm_before\.(.*)`, "blocks.$1.norm1.$2",
		`(?:vit\.)?encoder\.layer\.(\d+)\.layernorm_after\.(.*)`, "blocks.$1.norm2.$2",
		`(?:vit\.)?layernorm\.(.*)`, "norm.$1",
		`classifier\.(.*)`, "head.$1",
	), regexp.MustCompile(`(^|\.)pooler\.|mask_token$`)},
	{"Hugging Face, ResNet", regexp.MustCompile(`(^|\.)embedder\.embedder\.convolution\.weight$`), rules(
		`(?:resnet\.)?embedder\.embedder\.convolution\.(.*)`, "conv1.$1",
		`(?:resnet\.)?embedder\.embedder\.normalization\.(.*)`, "bn1.$1",
		`(?:resnet\.)?encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.convolution\.(.*)`, "layer{1*1+1}.$2.conv{3*1+1}.$4",
		`(?:resnet\.)?encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.normalization\.(.*)`, "layer{1*1+1}.$2.bn{3*1+1}.$4",
		`(?:resnet\.)?encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.convolution\.(.*)`, "layer{1*1+1}.$2.downsample.0.$3",
		`(?:resnet\.)?encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.normalization\.(.*)`, "layer{1*1+1}.$2.downsample.1.$3",
		`classifier\.1\.(.*)`, "fc.$1",
	), nil},
	{"Hugging Face, Swin", regexp.MustCompile(`(^|\.)encoder\.layers\.0\.blocks\.0\.attention\.self\.query\.weight$`), rules(
		`(?:swin\.)?embeddings\.patch_embeddings\.projection\.(.*)`, "features.0.0.$1",
		`(?:swin\.)?embeddings\.norm\.(.*)`, "features.0.2.$1",
		`(?:swin\.)?encoder\.layers\.(\d+)\.blocks\.(\d+)\.attention\.self\.(query|key|value)\.(.*)`, "features.{1*2+1}.$2.attn.qkv.$4|$3",
		`(?:swin\.)?encoder\.layers\.(\d+)\.blocks\.(\d+)\.attention\.self\.(relative_.*)`, "features.{1*2+1}.$2.attn.$3",
		`(?:swin\.)?encoder\.layers\.(\d+)\.blocks\.(\d+)\.attention\.output\.dense\.(.*)`, "features.{1*2+1}.$2.attn.proj.$3",
		`(?:swin\.)?encoder\.layers\.(\d+)\.blocks\.(\d+)\.layernorm_before\.(.*)`, "features.{1*2+1}.$2.norm1.$3",
		`(?:swin\.)?encoder\.layers\.(\d+)\.blocks\.(\d+)\.layernorm_after\.(.*)`, "features.{1*2+1}.$2.norm2.$3",
		`(?:swin\.)?encoder\.layers\.(\d+)\.blocks\.(\d+)\.intermediate\.dense\.(.*)`, "features.{1*2+1}.$2.mlp.0.$3",
		`(?:swin\.)?encoder\.layers\.(\d+)\.blocks\.(\d+)\.output\.dense\.(.*)`, "features.{1*2+1}.$2.mlp.3.$3",
		`(?:swin\.)?encoder\.layers\.(\d+)\.downsample\.(.*)`, "features.{1*2+2}.$2",
		`(?:swin\.)?layernorm\.(.*)`, "norm.$1",
		`classifier\.(.*)`, "head.$1",
	), regexp.MustCompile(`(^|\.)pooler\.|mask_token$`)},
	{"torchvision, ViT", regexp.MustCompile(`^encoder\.layers\.encoder_layer_0\.self_attention\.in_proj_weight$`), rules(
		`class_token`, "cls_token",
		`encoder\.pos_embedding`, "pos_embed",
		`conv_proj\.(.*)`, "patch_embed.proj.$1",
		`encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_(weight|bias)`, "blocks.$1.attn.qkv.$2",
		`encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.(.*)`, "blocks.$1.attn.proj.$2",
		`encoder\.layers\.encoder_layer_(\d+)\.ln_(\d)\.(.*)`, "blocks.$1.norm$2.$3",
		`encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.(.*)`, "blocks.$1.mlp.fc1.$2",
		`encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.(.*)`, "blocks.$1.mlp.fc2.$2",
		`encoder\.ln\.(.*)`, "norm.$1",
		`heads\.head\.(.*)`, "head.$1",
	), nil},
	{"timm, Swin", regexp.MustCompile(`^layers\.0\.blocks\.0\.attn\.relative_position_bias_table$`), rules(
		`patch_embed\.proj\.(.*)`, "features.0.0.$1",
		`patch_embed\.norm\.(.*)`, "features.0.2.$1",
		`layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc1\.(.*)`, "features.{1*2+1}.$2.mlp.0.$3",
		`layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc2\.(.*)`, "features.{1*2+1}.$2.mlp.3.$3",
		`layers\.(\d+)\.blocks\.(\d+)\.(.*)`, "features.{1*2+1}.$2.$3",
		`layers\.(\d+)\.downsample\.(.*)`, "features.{1*2+2}.$2", // of timm before 0.9: behind a stage
		`norm\.(.*)`, "norm.$1",
		`head\.(?:fc\.)?(weight|bias)`, "head.$1",
	), regexp.MustCompile(`\.attn_mask$`)},
}

// translated is a source under the zoo's names.
type translated struct {
	source
	names   []string
	parts   map[string][]string // by the zoo's name: one name of the file, or those of query, key and value
	told    []string            // what was done, in words
	dropped []string            // names of the file that the network does without
}

// translate strips what stands before all names, and turns the names of other libraries into the zoo's.
func translate(s source) *translated {
	t := &translated{source: s, parts: map[string][]string{}}
	names := s.Names()
	short := map[string]string{} // by the file's name
	for _, name := range names {
		short[name] = name
	}
	for again := true; again; {
		again = false
		for _, p := range prefixes {
			if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return !strings.HasPrefix(short[n], p) }) {
				for _, n := range names {
					short[n] = strings.TrimPrefix(short[n], p)
				}
				t.told, again = append(t.told, "without "+p), true
			}
		}
	}
	d := dialect{}
	for _, candidate := range dialects {
		if slices.ContainsFunc(names, func(n string) bool { return candidate.mark.MatchString(short[n]) }) {
			d = candidate
			t.told = append(t.told, "names of "+d.library)
			break
		}
	}
	late := slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(short[n], "layers.3.downsample.") }) // timm from 0.9 on
	for _, n := range names {
		t.add(n, d.name(short[n], late), d)
	}
	return t
}

// add notes a name of the file under the one of the zoo, which may say behind | which part of three it is.
func (t *translated) add(file, name string, d dialect) {
	if d.drop != nil && d.drop.MatchString(name) {
		t.dropped = append(t.dropped, file)
		return
	}
	name, part, isPart := strings.Cut(name, "|")
	if t.parts[name] == nil {
		t.names = append(t.names, name)
	}
	if !isPart {
		t.parts[name] = append(t.parts[name], file)
		return
	}
	if t.parts[name] == nil {
		t.parts[name] = make([]string, 3)
	}
	t.parts[name][slices.Index([]string{"query", "key", "value"}, part)] = file
}

// name turns a name into the zoo's, or returns it as it is. late says that patches are merged in front of a stage.
func (d dialect) name(name string, late bool) string {
	for _, r := range d.rules {
		groups := r.form.FindStringSubmatch(name)
		if groups == nil {
			continue
		}
		to := r.to
		if late && strings.Contains(r.form.String(), `layers\.(\d+)\.downsample`) {
			to = "features.{1*2+0}.$2"
		}
		for i := len(groups) - 1; i > 0; i-- {
			to = strings.ReplaceAll(to, fmt.Sprintf("$%d", i), groups[i])
		}
		return sums.ReplaceAllStringFunc(to, func(sum string) string {
			p := sums.FindStringSubmatch(sum)
			group, _ := strconv.Atoi(p[1])
			factor, _ := strconv.Atoi(p[2])
			more, _ := strconv.Atoi(p[3])
			n, _ := strconv.Atoi(groups[group])
			return strconv.Itoa(factor*n + more)
		})
	}
	return name
}

var sums = regexp.MustCompile(`\{(\d)\*(\d)\+(\d)\}`)

// Names lists the tensors under the zoo's names.
func (t *translated) Names() []string { return t.names }

// Info describes a tensor; parts lie one behind the other.
func (t *translated) Info(name string) (info safetensors.Info, ok bool) {
	for i, part := range t.parts[name] {
		one, has := t.source.Info(part)
		switch {
		case !has || i > 0 && (one.DType != info.DType || len(one.Shape) == 0 || !slices.Equal(one.Shape[1:], info.Shape[1:])):
			return safetensors.Info{}, false
		case i == 0:
			info = one
			info.Shape = slices.Clone(one.Shape)
		default:
			info.Shape[0] += one.Shape[0]
			info.Bytes += one.Bytes
		}
	}
	return info, len(t.parts[name]) > 0
}

// Read returns a tensor's elements.
func (t *translated) Read(name string) (all []byte, err error) {
	for _, part := range t.parts[name] {
		bytes, err := t.source.Read(part)
		if err != nil {
			return nil, err
		}
		all = append(all, bytes...)
	}
	return all, nil
}
