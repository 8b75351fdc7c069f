package pki_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
)

// hugeRequest asks for a certificate of an RSA key of so many bits, which nobody has.
func hugeRequest(t *testing.T, bits uint) []byte {
	t.Helper()
	marshal := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	null := asn1.RawValue{Tag: asn1.TagNull}
	modulus := new(big.Int).Lsh(big.NewInt(1), bits)
	modulus.Sub(modulus, big.NewInt(1))
	public := marshal(struct {
		N *big.Int
		E int
	}{modulus, 65537})
	type info struct {
		Version   int
		Subject   asn1.RawValue
		Algorithm struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		Attributes []asn1.RawValue `asn1:"tag:0"`
	}
	i := info{Subject: asn1.RawValue{FullBytes: []byte{0x30, 0}}}
	i.Algorithm.Algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: null}
	i.Algorithm.Key = asn1.BitString{Bytes: public, BitLength: 8 * len(public)}
	signature := make([]byte, (bits+7)/8)
	signature[len(signature)-1] = 2
	return marshal(struct {
		Info      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: marshal(i)},
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: null},
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
}

// Anybody may send a request, token or not; so nothing is computed with a key that
// is none of ours. With a huge one that would take a processor for minutes.
func TestNothingIsComputedWithAForeignKindOfKey(t *testing.T) {
	ca := openCA(t, t.TempDir())
	_, err := ca.SignHost("hv1", hugeRequest(t, 1<<15))
	if err == nil || !strings.Contains(err.Error(), "not ECDSA") {
		t.Errorf("got %v, want that the key is not ECDSA", err)
	}
}
