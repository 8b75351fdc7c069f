package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
)

func TestParsePorts(t *testing.T) {
	for _, test := range []struct {
		name  string
		texts []string
		want  []gabion.PortRange
		err   string
	}{
		{"none means every port", nil, []gabion.PortRange{{}}, ""},
		{"one", []string{"22"}, []gabion.PortRange{{Start: 22, End: 22}}, ""},
		{"a range", []string{"8000-8100"}, []gabion.PortRange{{Start: 8000, End: 8100}}, ""},
		{
			"several",
			[]string{"80", " 443", "8000-8100"},
			[]gabion.PortRange{{Start: 80, End: 80}, {Start: 443, End: 443}, {Start: 8000, End: 8100}},
			"",
		},
		{"the ends", []string{"1-65535"}, []gabion.PortRange{{Start: 1, End: 65535}}, ""},
		{"zero", []string{"0"}, nil, `--port "0" is no port; give 1 to 65535, a range such as 8000-8100, or several as in 80,443`},
		{"too large", []string{"65536"}, nil, `--port "65536" is no port; give 1 to 65535, a range such as 8000-8100, or several as in 80,443`},
		{"a name", []string{"ssh"}, nil, `--port "ssh" is no port; give 1 to 65535, a range such as 8000-8100, or several as in 80,443`},
		{"half a range", []string{"80-"}, nil, `--port "" is no port; give 1 to 65535, a range such as 8000-8100, or several as in 80,443`},
		{"backwards", []string{"90-80"}, nil, `--port 90-80 runs backwards; write 80-90`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parsePorts(test.texts)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ports (-want +got):\n%s", diff)
			}
			if message := errorText(err); message != test.err {
				t.Errorf("error\n got %s\nwant %s", message, test.err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
