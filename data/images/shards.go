package images

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// findShards returns the names of the tar files in dir that start with part, in order.
func findShards(dir, part string) []string {
	entries, _ := os.ReadDir(dir) // a folder that cannot be read holds none
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), part) && strings.HasSuffix(e.Name(), ".tar") && isRegular(dir, e.Name()) {
			names = append(names, e.Name())
		}
	}
	return slices.Sorted(slices.Values(names))
}

func isRegular(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular()
}

// holdsShards reports whether dir has a shard of each part.
func holdsShards(dir string) bool {
	return len(findShards(dir, trainPart)) > 0 && len(findShards(dir, valPart)) > 0
}

// scanShards lists the images of all shards of a part. Only headers are read; nothing is unpacked, here or later.
func scanShards(dir, part string) (p *photos, perClass map[string]int, err error) {
	p = &photos{dir: dir, shards: findShards(dir, part)}
	perClass = map[string]int{}
	for i, name := range p.shards {
		if err := p.scanShard(i); err != nil {
			return nil, nil, fault.New("%s: %w", filepath.Join(dir, name), err)
		}
	}
	for _, f := range p.files {
		perClass[path.Dir(f.name)]++
	}
	return p, perClass, nil
}

func (p *photos) scanShard(i int) error {
	r, err := os.Open(filepath.Join(p.dir, p.shards[i]))
	if err != nil {
		return fault.New("cannot be opened: %w", cause(err))
	}
	defer r.Close()
	files, err := indexTar(r)
	for _, f := range files {
		f.shard = i
		p.files = append(p.files, f)
	}
	return err
}

// indexTar lists the images in an uncompressed tar file with entries CLASS/NAME. Entries that leave the archive, links,
// devices and sparse files are refused, whether they are images or not.
func indexTar(r io.ReadSeeker) (files []file, err error) {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fault.New("is truncated or no uncompressed tar file: %w", err)
		}
		name, keep, err := checkEntry(h)
		if err != nil {
			return nil, err
		}
		if !keep {
			continue
		}
		offset, err := r.Seek(0, io.SeekCurrent) // the reader takes whole blocks, so it is where the contents start
		if err != nil {
			return nil, fault.New("cannot be read: %w", cause(err))
		}
		files = append(files, file{name: name, offset: offset, size: h.Size})
	}
}

// checkEntry says whether an entry is an image to keep, under which name; a fault if the archive is not to be trusted.
func checkEntry(h *tar.Header) (name string, keep bool, err error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return "", false, nil
	}
	name = path.Clean(h.Name)
	if !filepath.IsLocal(filepath.FromSlash(h.Name)) || strings.ContainsAny(h.Name, "\\\x00") {
		return "", false, fault.New("entry %q leaves the archive: must be CLASS/NAME", h.Name)
	}
	sparse := false
	for key := range h.PAXRecords {
		sparse = sparse || strings.HasPrefix(key, "GNU.sparse.")
	}
	switch {
	case h.Typeflag == tar.TypeDir:
		return "", false, nil
	case h.Typeflag != tar.TypeReg || sparse:
		return "", false, fault.New("entry %q is a link, a device or sparse: must be a plain file", h.Name)
	case !isImage(name):
		return "", false, nil
	case strings.Count(name, "/") != 1:
		return "", false, fault.New("entry %q: must be CLASS/NAME, with one folder", h.Name)
	}
	return name, true, nil
}
