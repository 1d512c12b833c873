package host

import (
	"slices"
	"testing"
)

func TestMemory(t *testing.T) {
	const text = "MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:    512 kB\n"
	if got := meminfo(text, "MemTotal:"); got != 16384*1024 {
		t.Errorf("%d bytes in total", got)
	}
	if got := meminfo(text, "MemAvailable:"); got != 512*1024 {
		t.Errorf("%d bytes available", got)
	}
	for text, want := range map[string]int64{"": 0, "max\n": 0, "1073741824\n": 1 << 30} {
		if got := number(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	if got := field("anon 5\nfile 9\ninactive_file 4096\n", "inactive_file"); got != 4096 {
		t.Errorf("field is %d", got)
	}
	if Memory() < 1<<24 {
		t.Errorf("this machine has %d bytes", Memory())
	}
	if free, told := Free(); told && (free < 0 || free > Memory()) {
		t.Errorf("%d bytes are free of %d", free, Memory())
	}
}

func TestGroups(t *testing.T) {
	for text, want := range map[string][]string{
		"":                       {groupRoot},
		"0::/\n":                 {groupRoot},
		"0::/a/b\n":              {groupRoot, groupRoot + "/a/b", groupRoot + "/a"},
		"5:memory:/x\n0::/job\n": {groupRoot, groupRoot + "/job"},
		"0::/../../etc\n":        {groupRoot, groupRoot + "/etc"},
	} {
		if got := groups(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
