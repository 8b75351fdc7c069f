package pki_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/gabion/gabion/internal/pki"
)

func TestTokenRoundTrip(t *testing.T) {
	ca := openCA(t, t.TempDir())
	for _, host := range []string{"hv1", "hv1.rack-2.example"} {
		token, err := ca.MintToken(host)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pki.ParseToken(token.String() + "\n")
		if err != nil || got != token {
			t.Errorf("%s: got %+v, %v; want %+v", token, got, err, token)
		}
		if token.Hash() != sha256.Sum256(token.Secret[:]) || token.CA != ca.Hash() {
			t.Error("hash or authority is another one")
		}
	}
}

func TestTokensDiffer(t *testing.T) {
	ca := openCA(t, t.TempDir())
	a, errA := ca.MintToken("hv1")
	b, errB := ca.MintToken("hv1")
	if errA != nil || errB != nil || a.Secret == b.Secret {
		t.Errorf("two tokens share a secret: %v, %v", errA, errB)
	}
}

func TestMintTokenRefusesBadHosts(t *testing.T) {
	ca := openCA(t, t.TempDir())
	for _, host := range []string{"", ".", "..", "a/b", "-a", "a-", "a b", "ä", strings.Repeat("a", 64)} {
		if _, err := ca.MintToken(host); err == nil {
			t.Errorf("%q: accepted", host)
		}
	}
}

func TestParseTokenRefuses(t *testing.T) {
	secret, ca := strings.Repeat("A", 43), strings.Repeat("a", 64)
	if _, err := pki.ParseToken("hv1." + secret + "." + ca); err != nil {
		t.Fatalf("the rows below differ in one thing from a good token, which is refused itself: %v", err)
	}
	for name, text := range map[string]string{
		"empty":           "",
		"one part":        "hv1",
		"two parts":       "hv1." + secret,
		"no host":         "." + secret + "." + ca,
		"path as host":    "../x." + secret + "." + ca,
		"short secret":    "hv1." + secret[4:] + "." + ca,
		"long secret":     "hv1." + secret + "AAAA." + ca,
		"secret's alpha":  "hv1." + "!" + secret[1:] + "." + ca,
		"trailing bits":   "hv1." + secret[1:] + "B." + ca,
		"short authority": "hv1." + secret + "." + ca[2:],
		"long authority":  "hv1." + secret + "." + ca + "aa",
		"not hexadecimal": "hv1." + secret + ".z" + ca[1:],
	} {
		if _, err := pki.ParseToken(text); err == nil {
			t.Errorf("%s: accepted %q", name, text)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("hv1." + strings.Repeat("A", 43) + "." + strings.Repeat("a", 64))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := pki.ParseToken(text)
		if err != nil {
			return
		}
		if again, err := pki.ParseToken(token.String()); err != nil || again != token {
			t.Errorf("%q: got %+v, %v; want %+v", text, again, err, token)
		}
	})
}
