package api_test

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gabion/gabion/api"
)

func TestContractIsValid(t *testing.T) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(api.Contract)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		t.Fatal(err)
	}
}
