package packaging_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unit is a unit's settings, each with its values in their order.
type unit map[string][]string

func read(t *testing.T, path string) unit {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	u := unit{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			u[name] = append(u[name], value)
		}
	}
	return u
}

// common is what both units deny themselves.
var common = map[string]string{
	"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "ProtectClock": "yes",
	"ProtectControlGroups": "yes", "ProtectHostname": "yes", "ProtectKernelLogs": "yes", "ProtectKernelModules": "yes",
	"PrivateTmp": "yes", "PrivateIPC": "yes", "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes",
	"RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "AmbientCapabilities": "",
	"SystemCallArchitectures": "native", "UMask": "0077", "StateDirectoryMode": "0700",
	"RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX AF_NETLINK",
}

func TestUnitsAreHardened(t *testing.T) {
	for name, own := range map[string]map[string]string{
		"gabion-server.service": {
			"User": "gabion", "CapabilityBoundingSet": "", "PrivateUsers": "yes", "PrivateDevices": "yes", "ProtectKernelTunables": "yes",
		},
		"gabion-agent.service": {
			"CapabilityBoundingSet": "CAP_BPF CAP_NET_ADMIN CAP_SYS_ADMIN", "DevicePolicy": "closed", "DeviceAllow": "/dev/net/tun rw",
			"AssertPathIsMountPoint": "/sys/fs/bpf", "Type": "notify",
			"Before": "libvirtd.service virtqemud.service libvirt-guests.service",
		},
	} {
		u := read(t, name)
		for _, settings := range []map[string]string{common, own} {
			for setting, want := range settings {
				if got := u[setting]; !slices.Equal(got, []string{want}) {
					t.Errorf("%s: %s is %q, want %q", name, setting, got, want)
				}
			}
		}
	}
}

// The server's unit names the user that the sysusers file makes.
func TestUserIsMade(t *testing.T) {
	text, err := os.ReadFile("gabion.sysusers")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\nu gabion ") {
		t.Errorf("%s makes no user gabion", text)
	}
}

// systemd is what systemd-analyze says of a unit. Without it the test is skipped,
// and fails in CI.
func systemd(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("needs systemd-analyze: install systemd")
	}
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

func TestSystemdUnderstandsTheUnits(t *testing.T) {
	for _, name := range []string{"gabion-server.service", "gabion-agent.service"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		verify := func(text string) (string, error) {
			path := filepath.Join(t.TempDir(), name)
			// The program is not installed where this is tested.
			text = strings.ReplaceAll(text, "/usr/bin/gabion", os.Args[0])
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return systemd(t, "verify", path)
		}
		if out, err := verify(string(text)); err != nil || strings.Contains(out, name) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := verify(string(text) + "\nBeforre=x\n"); err == nil && !strings.Contains(out, name) {
			t.Errorf("%s with a mistake: nothing is said\n%s", name, out)
		}
	}
}

// TestExposure holds what systemd itself counts as exposure, from 0.0 to 10.0.
func TestExposure(t *testing.T) {
	for name, most := range map[string]float64{"gabion-server.service": 1.3, "gabion-agent.service": 2.8} {
		threshold := func(n float64) string { return fmt.Sprintf("--threshold=%.0f", n*10) }
		if out, err := systemd(t, "security", "--offline=yes", threshold(most+.1), name); err != nil {
			t.Errorf("%s is exposed more than %.1f: %v\n%s", name, most, err, out)
		}
		if _, err := systemd(t, "security", "--offline=yes", threshold(.1), name); err == nil {
			t.Errorf("%s: nothing is exposed, which can't be", name)
		}
	}
}
