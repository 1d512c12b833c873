package images

import (
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

// photos is images in files, each a file of its own or a part of a tar shard. All that is kept of an image between two
// batches is where it is.
type photos struct {
	set     string // folder or tar
	dir     string // of CLASS/…, or of the shards
	shards  []string
	files   []file
	resize  int          // the shorter side before evaluation's centred crop
	passed  passed       // files of the part that are none of files
	broken  *brokenCount // nil where nobody counts
	pairs   bool         // shards of images with labels beside them
	note    string       // a line for the user; "" for none
	many    bool         // images may have any number of classes
	columns []string     // the classes in their order, where that is not the order of their names
}

// file is where one image is.
type file struct {
	name   string   // CLASS/…/NAME, with slashes
	class  string   // where the name does not say it
	all    []string // its classes, where there may be any number of them
	shard  int      // of photos.shards; standalone for a file of its own
	offset int64    // in the shard
	size   int64
}

const standalone = -1

// same reports whether two entries of shards are alike.
func (f file) same(other file) bool {
	return f.name == other.name && f.class == other.class && f.offset == other.offset && f.size == other.size
}

// classOf returns the image's class.
func (f file) classOf() string {
	if f.class != "" {
		return f.class
	}
	class, _, _ := strings.Cut(f.name, "/")
	return class
}

// maxFile bounds the bytes of an image file: more than any photograph has.
const maxFile = 64 << 20

// imageSuffixes are what the name of an image ends in, in any case. Other files, and hidden ones, are passed over.
var imageSuffixes = []string{".jpg", ".jpeg", ".png", ".webp"}

func isImage(name string) bool {
	base := path.Base(name)
	return !strings.HasPrefix(base, ".") && slices.Contains(imageSuffixes, strings.ToLower(path.Ext(base)))
}

// with returns other files of the same place.
func (p *photos) with(files []file) *photos {
	other := *p
	other.files = files
	return &other
}

// title names image i for a message.
func (p *photos) title(i int) string {
	f := p.files[i]
	if f.shard == standalone {
		return show.Name(filepath.Join(p.dir, filepath.FromSlash(f.name)))
	}
	return show.Name(filepath.Join(p.dir, p.shards[f.shard])) + ": " + show.Name(f.name)
}

// read returns the bytes of image i, in buf's memory if that is enough. Errors are faults that go on after its title.
func (p *photos) read(i int, buf []byte) ([]byte, error) {
	f := p.files[i]
	name, size := f.name, f.size
	if f.shard != standalone {
		name = p.shards[f.shard]
	}
	path := filepath.Join(p.dir, filepath.FromSlash(name))
	r, err := disk.Open(path)
	if err != nil {
		return nil, fault.New("cannot be opened: %w", cause(err))
	}
	defer r.Close()
	if f.shard == standalone {
		info, err := r.Stat()
		if err != nil {
			return nil, fault.New("cannot be read: %w", cause(err))
		}
		size = info.Size()
	}
	if size > maxFile {
		return nil, fault.New("has %d bytes: must be at most %d", size, maxFile)
	}
	buf = slices.Grow(buf[:0], int(size))[:size]
	if n, err := io.ReadFull(io.NewSectionReader(r, f.offset, size), buf); err != nil {
		return nil, unreadable(err, n, fmt.Sprint(size))
	}
	return buf, nil
}
