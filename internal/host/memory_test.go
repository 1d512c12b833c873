package host

import "testing"

func TestMemory(t *testing.T) {
	if got := memTotal("MemTotal:       16384 kB\nMemFree: 1 kB\n"); got != 16384*1024 {
		t.Errorf("%d bytes", got)
	}
	for text, want := range map[string]int64{"": 0, "max\n": 0, "1073741824\n": 1 << 30} {
		if got := bytes(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	if Memory() < 1<<24 {
		t.Errorf("this machine has %d bytes", Memory())
	}
}
