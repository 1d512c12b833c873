// Package sniff says what a file is that was taken for another: a web page that a download left, a pointer to what Git keeps
// elsewhere, an archive that is still packed.
package sniff

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Enough is how many bytes of a file's start What looks at.
const Enough = 512

// kind is a format that is not what somebody wanted.
type kind struct {
	starts string // the file's first bytes
	what   string // goes on after the file's name
}

var kinds = []kind{
	{"version https://git-lfs", "is a pointer of Git LFS, not the file itself: run 'git lfs pull' in its repository"},
	{"/annex/objects/", "is a pointer of git-annex, not the file itself: run 'git annex get' in its repository"},
	{"../.git/annex/", "is a pointer of git-annex, not the file itself: run 'git annex get' in its repository"},
	{"\x1f\x8b", "is compressed with gzip: unpack it with gunzip"},
	{"BZh", "is compressed with bzip2: unpack it with bunzip2"},
	{"\xfd7zXZ\x00", "is compressed with xz: unpack it with unxz"},
	{"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it with unzstd"},
	{"PK\x03\x04", "is a zip archive: unpack it with unzip"},
	{"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive: unpack it"},
	{"Rar!", "is a RAR archive: unpack it"},
	{"\x93NUMPY", "is an array of NumPy: save its images as PNG, or give it as data of your own"},
	{"\x89HDF", "is an HDF5 file: save its images as PNG, or give it as data of your own"},
	{"%PDF", "is a PDF document: save its pictures as PNG or JPEG"},
	{"8BPS", "is a Photoshop file: save it as PNG or JPEG"},
	{"II*\x00", "is a TIFF picture: save it as PNG or JPEG"},
	{"MM\x00*", "is a TIFF picture: save it as PNG or JPEG"},
	{"BM", "is a BMP picture: save it as PNG or JPEG"},
	{"\x00\x00\x01\x00", "is an icon: save it as PNG or JPEG"},
	{"\xff\xd8\xff", "is a JPEG picture"},
	{"\x89PNG", "is a PNG picture"},
	{"GIF8", "is a GIF picture"},
	{"\x80\x02", "is a pickle of Python: save its images as PNG, or get the set's binary version"},
	{"\x80\x03", "is a pickle of Python: save its images as PNG, or get the set's binary version"},
	{"\x80\x04", "is a pickle of Python: save its images as PNG, or get the set's binary version"},
}

// What says what a file is whose first bytes these are, and what to do next, in words that go on after its name; "" if it is
// nothing known. Give it Enough bytes, or all of them.
func What(start []byte) string {
	if len(start) == 0 {
		return "is empty: copy or download it again"
	}
	for _, k := range kinds {
		if bytes.HasPrefix(start, []byte(k.starts)) {
			return k.what
		}
	}
	if what := text(start); what != "" {
		return what
	}
	if len(start) > 262 && string(start[257:262]) == "ustar" {
		return "is a tar archive: name it train….tar or val….tar, and set data.set=tar"
	}
	if len(start) >= 12 && string(start[4:8]) == "ftyp" {
		return media(string(start[8:12]))
	}
	if len(start) > 9 && start[8] == '{' {
		if size := binary.LittleEndian.Uint64(start); size > 1 && size < 100<<20 {
			return "is a safetensors file, which holds weights"
		}
	}
	if len(start) >= 16 && len(bytes.TrimLeft(start, "\x00")) == 0 {
		return "begins with nothing but zeros, as after a copy that broke off: copy or download it again"
	}
	return ""
}

// text tells texts apart that a download or a mistake leaves.
func text(start []byte) string {
	s := strings.ToLower(string(bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\xef\xbb\xbf")), " \t\r\n")))
	switch {
	case strings.HasPrefix(s, "<!doctype html"), strings.HasPrefix(s, "<html"), strings.HasPrefix(s, "<head"):
		return "is a web page: the download went wrong or wants a login; download it again"
	case strings.HasPrefix(s, "<svg"), strings.HasPrefix(s, "<?xml") && strings.Contains(s, "<svg"):
		return "is an SVG drawing: save it as PNG"
	case strings.HasPrefix(s, "<?xml"), strings.HasPrefix(s, "<error"):
		return "is an XML text, such as a server's message of an error: read it, and download the file again"
	case strings.HasPrefix(s, "{\""), strings.HasPrefix(s, "[{"):
		return "is a JSON text, such as a server's message of an error: read it, and download the file again"
	}
	return ""
}

// media tells apart what is in an ISO container.
func media(brand string) string {
	switch brand {
	case "heic", "heix", "mif1", "msf1", "hevc":
		return "is a HEIC picture, as phones take them: save it as JPEG"
	case "avif", "avis":
		return "is an AVIF picture: save it as PNG or JPEG"
	}
	return "is a film: save its pictures as JPEG"
}
