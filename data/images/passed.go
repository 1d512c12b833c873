package images

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/show"
)

// passed counts the files of a set that are passed over, by why.
type passed struct {
	why   []string
	count map[string]int
	first map[string]string
}

// add counts a file; why is one of the constants below.
func (p *passed) add(name, why string) {
	if p.count == nil {
		p.count, p.first = map[string]int{}, map[string]string{}
	}
	if p.count[why]++; p.count[why] == 1 {
		p.why = append(p.why, why)
		p.first[why] = name
	}
}

// join adds what other counted.
func (p *passed) join(other passed) {
	for _, why := range other.why {
		p.add(other.first[why], why)
		p.count[why] += other.count[why] - 1
	}
}

// line says in one line how many files were passed over, and which; "" if none were.
func (p *passed) line() string {
	total := 0
	var parts []string
	slices.SortStableFunc(p.why, func(a, b string) int { return cmp.Compare(p.count[b], p.count[a]) })
	for _, why := range p.why {
		n := p.count[why]
		total += n
		one, several, _ := strings.Cut(why, "|")
		if n == 1 {
			parts = append(parts, fmt.Sprintf("1 %s (%s)", one, show.Name(p.first[why])))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d %s (such as %s)", n, several, show.Name(p.first[why])))
	}
	switch total {
	case 0:
		return ""
	case 1:
		return "1 file passed over: " + parts[0]
	}
	return fmt.Sprintf("%d files passed over: %s", total, strings.Join(parts, ", "))
}

// Why files are passed over, of one and of several.
const (
	noClass    = "outside of class folders|outside of class folders"
	noLabel    = "image without a label|images without a label"
	noImage    = "not named as an image|not named as images"
	hidden     = "hidden|hidden"
	loop       = "link to a folder above|links to a folder above"
	replaced   = "replaced by a later entry of the same name|replaced by later entries of the same names"
	emptyShard = "empty shard|empty shards"
	noImages   = "shard without images|shards without images"
	twice      = "shard that repeats another|shards that repeat others"
	compressed = "compressed shard|compressed shards"
	noFile     = "shard that is no file|shards that are no files"
)

// missing says which classes have no images in a part; "" if all have some.
func missing(part string, classes []string, perClass map[string]int) string {
	var without []string
	for _, class := range classes {
		if perClass[class] == 0 {
			without = append(without, class)
		}
	}
	if len(without) == 0 {
		return ""
	}
	return fmt.Sprintf("%s has no images of %d of %d classes: %s", part, len(without), len(classes), show.Names(without, 5))
}
