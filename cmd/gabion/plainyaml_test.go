package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestFilesThatWouldTakeAllMemoryAreRefused(t *testing.T) {
	laughs := "name: web\ningress:\n"
	for i := range 12 {
		ports := "[" + strings.Repeat(fmt.Sprintf("*p%d,", i-1), 10) + "]"
		if i == 0 {
			ports = "[1,1,1]"
		}
		laughs += fmt.Sprintf("  - protocol: tcp\n    from: 0.0.0.0/0\n    ports: &p%d %s\n", i, ports)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"aliases of aliases": {laughs, "line 5: & is for anchors and aliases"},
		"lists in lists":     {"name: web\ningress: " + strings.Repeat("[", 100_000), "line 2: lists and mappings are more than 16 deep"},
		"mappings":           {"name: web\ningress: " + strings.Repeat("{a: ", 20_000), "more than 16 deep"},
		"lists in blocks":    {"name: web\ningress:\n  " + strings.Repeat("- ", 20_000), "more than 16 deep"},
		"keys in keys":       {"name: web\n" + strings.Repeat("? ", 20_000), "more than 16 deep"},
		"size":               {"name: web\ndescription: " + strings.Repeat("x", maxFile), "larger than 4 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readGroups("web.yaml", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := readGroups("web.yaml", []byte("name: web\ndescription: a & b * c\ningress:\n- {protocol: tcp, ports: [80, 8000-8100], from: ::/0}\n")); err != nil {
		t.Errorf("an ordinary file: %v", err)
	}
}
