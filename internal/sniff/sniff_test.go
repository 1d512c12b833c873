package sniff

import (
	"strings"
	"testing"
)

func TestWhat(t *testing.T) {
	tarball := make([]byte, 512)
	copy(tarball, "ant/1.jpg")
	copy(tarball[257:], "ustar")
	for start, want := range map[string]string{
		"": "is empty",
		"version https://git-lfs.github.com/spec/v1\noid sha256:0\n": "git lfs pull",
		"/annex/objects/MD5E-s5--x.jpg\n":                            "git annex get",
		"../../.git/annex/objects/x":                                 "",
		"\x1f\x8b\x08\x00":                                           "gunzip",
		"PK\x03\x04....":                                             "unzip",
		"BZh9":                                                       "bunzip2",
		"\xfd7zXZ\x00":                                               "unxz",
		"<!DOCTYPE html><html>":                                      "web page",
		"\n  <html lang=en>":                                         "web page",
		"\xef\xbb\xbf<HTML>":                                         "web page",
		"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code>": "XML",
		"<Error><Code>AccessDenied":                            "XML",
		"<?xml version=\"1.0\"?><svg>":                         "SVG",
		"{\"error\": 404}":                                     "JSON",
		"\x40\x00\x00\x00\x00\x00\x00\x00{\"x\":{}}":           "safetensors",
		string(tarball):                                        "tar archive",
		"\x00\x00\x00\x18ftypheic":                             "HEIC",
		"\x00\x00\x00\x18ftypavif":                             "AVIF",
		"\x00\x00\x00\x18ftypisom":                             "film",
		"\x80\x04\x95":                                         "pickle",
		"\x93NUMPY\x01":                                        "NumPy",
		strings.Repeat("\x00", 512):                            "zeros",
		"II*\x00":                                              "TIFF",
		"\xff\xd8\xff\xe0":                                     "JPEG",
		"hello":                                                "",
		"\x00\x00\x08\x03":                                     "",
	} {
		if got := What([]byte(start)); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%.20q: got %q, want %q", start, got, want)
		}
	}
}

// Whatever a file starts with, what is said of it is a line, and nothing of the file itself.
func FuzzWhat(f *testing.F) {
	f.Add([]byte("<html"))
	f.Add([]byte("\x00\x00\x00\x18ftypheic"))
	f.Fuzz(func(t *testing.T, start []byte) {
		if got := What(start); got != "" && !strings.HasPrefix(got, "is ") && !strings.HasPrefix(got, "begins ") || strings.Contains(got, "\n") {
			t.Fatalf("%q: got %q", start, got)
		}
	})
}
