package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/internal/sniff"
)

// findShards returns the names of the tar files in dir that start with part, in order, and counts by why those that are
// no use: compressed ones, and what is no file, such as a link that leads nowhere.
func findShards(dir, part string) (names []string, useless map[string][]string) {
	useless = map[string][]string{}
	entries, _ := os.ReadDir(dir) // a folder that cannot be read holds none
	for _, e := range entries {
		name := e.Name()
		plain, packed := strings.HasSuffix(name, ".tar"), slices.ContainsFunc(packedSuffixes, func(s string) bool { return strings.HasSuffix(name, s) })
		switch {
		case !strings.HasPrefix(name, part) || !plain && !packed:
		case !isRegular(dir, name):
			useless[noFile] = append(useless[noFile], name)
		case plain:
			names = append(names, name)
		default:
			useless[compressed] = append(useless[compressed], name)
		}
	}
	return names, useless // as sorted as os.ReadDir
}

var packedSuffixes = []string{".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4"}

func isRegular(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular()
}

// holdsShards reports whether dir has a shard of each part.
func holdsShards(dir string) bool {
	return holdsShard(dir, trainPart) && holdsShard(dir, valPart)
}

func holdsShard(dir, part string) bool {
	names, _ := findShards(dir, part)
	return len(names) > 0
}

// scanShards lists the images of all shards of a part. Only headers are read; nothing is unpacked, here or later.
func scanShards(dir, part string) (p *photos, perClass map[string]int, err error) {
	names, useless := findShards(dir, part)
	p = &photos{dir: dir, shards: names}
	for _, why := range slices.Sorted(maps.Keys(useless)) {
		for _, name := range useless[why] {
			p.passed.add(name, why)
		}
	}
	known := map[string][]shardIndex{}
	for i, name := range p.shards {
		if err := p.scanShard(i, known); err != nil {
			return nil, nil, fault.New("%s: %w", show.Name(filepath.Join(dir, name)), err)
		}
	}
	perClass = map[string]int{}
	for _, f := range p.files {
		perClass[f.classOf()]++
	}
	return p, perClass, nil
}

// shardIndex is the images of a shard.
type shardIndex struct {
	path  string
	files []file
}

// scanShard adds the images of shard i, unless it repeats one of known, which are by their first image.
func (p *photos) scanShard(i int, known map[string][]shardIndex) error {
	path := filepath.Join(p.dir, p.shards[i])
	r, err := disk.Open(path)
	if err != nil {
		return fault.New("cannot be opened: %w", cause(err))
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return fault.New("cannot be read: %w", cause(err))
	}
	if info.Size() == 0 {
		p.passed.add(p.shards[i], emptyShard)
		return nil
	}
	files, err := p.index(io.NewSectionReader(r, 0, info.Size()))
	if err != nil {
		start := make([]byte, sniff.Enough)
		n, _ := r.ReadAt(start, 0)
		if what := sniff.What(start[:n]); what != "" && !strings.Contains(what, "tar archive") {
			return fault.New("%s; shards are uncompressed tar files", what)
		}
		return err
	}
	if len(files) == 0 {
		p.passed.add(p.shards[i], noImages)
		return nil
	}
	for _, other := range known[files[0].name] {
		if slices.EqualFunc(files, other.files, file.same) && sameImages(path, other.path, files) {
			p.passed.add(p.shards[i], twice)
			return nil
		}
	}
	known[files[0].name] = append(known[files[0].name], shardIndex{path, files})
	for _, f := range files {
		f.shard = i
		p.files = append(p.files, f)
	}
	return nil
}

// sameImages reports whether the first, the middle and the last image of two shards with the same index are the same.
func sameImages(a, b string, files []file) bool {
	for _, f := range []file{files[0], files[len(files)/2], files[len(files)-1]} {
		one, errOne := readPart(a, f)
		two, errTwo := readPart(b, f)
		if errOne != nil || errTwo != nil || !bytes.Equal(one, two) {
			return false
		}
	}
	return true
}

func readPart(path string, f file) ([]byte, error) {
	r, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, f.offset, min(f.size, maxFile)))
}

// index lists the images of a shard, which have classes in their names or labels beside them, as in the shards before it.
func (p *photos) index(r io.ReadSeeker) (files []file, err error) {
	all, labels, err := p.indexTar(r)
	if err != nil {
		return nil, err
	}
	pairs := len(labels) > 0
	if pairs {
		files = p.paired(all, labels)
	} else {
		files = slices.DeleteFunc(all, func(f file) bool { return !p.wants(f.name) })
	}
	switch {
	case len(files) == 0:
		return nil, nil
	case len(p.files) > 0 && p.pairs != pairs:
		return nil, fault.New("has %s, unlike the shards before it: all must have CLASS/NAME, or all NAME with a label beside it in NAME%s",
			show.Name(files[0].name), labelSuffix)
	}
	p.pairs = pairs
	return files, nil
}

// indexTar lists the files in an uncompressed tar file, but for those that are the labels of others, which it reads: labels are
// classes by sampleKey. Entries that leave the archive, links, devices and sparse files are refused, whether they are images
// or not. As where an archive is unpacked, an entry takes the place of an earlier one of its name. Archives behind the end of
// the first are read, too: shards are put together with cat.
func (p *photos) indexTar(r io.ReadSeeker) (files []file, labels map[string]string, err error) {
	archive := tar.NewReader(r)
	labels = map[string]string{}
	at := map[string]int{} // of names in files
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			more, err := seekArchive(r)
			if err != nil {
				return nil, nil, fault.New("cannot be read: %w", cause(err))
			}
			if !more {
				return files, labels, nil
			}
			archive = tar.NewReader(r)
			continue
		}
		if err != nil {
			return nil, nil, fault.New("is truncated or no uncompressed tar file: %w", err)
		}
		name, keep, err := checkEntry(h)
		if err != nil {
			return nil, nil, err
		}
		if !keep {
			continue
		}
		if strings.HasSuffix(name, labelSuffix) {
			if labels[sampleKey(name)], err = readLabel(name, archive, h.Size); err != nil {
				return nil, nil, err
			}
			continue
		}
		offset, err := r.Seek(0, io.SeekCurrent) // the reader takes whole blocks, so it is where the contents start
		if err != nil {
			return nil, nil, fault.New("cannot be read: %w", cause(err))
		}
		f := file{name: name, offset: offset, size: h.Size}
		if i, again := at[name]; again {
			if isImage(name) {
				p.passed.add(name, replaced)
			}
			files[i] = f
			continue
		}
		at[name] = len(files)
		files = append(files, f)
	}
}

// tarBlock is the unit of tar files, in bytes.
const tarBlock = 512

// seekArchive goes on to the next block that is not all zeros, which an archive that follows begins with; more is false if
// there is none.
func seekArchive(r io.ReadSeeker) (more bool, err error) {
	chunk := make([]byte, 128*tarBlock)
	for {
		n, err := io.ReadFull(r, chunk)
		if used := bytes.IndexFunc(chunk[:n], func(c rune) bool { return c != 0 }); used >= 0 {
			_, err := r.Seek(int64(used/tarBlock*tarBlock-n), io.SeekCurrent)
			return err == nil, err
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return false, nil
		case err != nil:
			return false, err
		}
	}
}

// checkEntry says whether an entry is a file, under which name; a fault if the archive is not to be trusted.
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
	}
	return name, true, nil
}
