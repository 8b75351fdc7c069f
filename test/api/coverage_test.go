package api_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gabion/gabion/api"
	"github.com/gabion/gabion/test/contract"
)

// TestMain holds, once all tests have passed, that each of the public API's SDKs
// has made each call that the contract shares with it.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" {
		for _, sdk := range []string{"egoscale/v3.", "egoscale/0."} {
			for _, operation := range shared() {
				if _, ok := answered.Load(sdk + operation); !ok {
					fmt.Fprintf(os.Stderr, "no test had an answer to %s with %sx\n", operation, sdk)
					code = 1
				}
			}
		}
	}
	os.Exit(code)
}

// shared are the operations that are not our own extensions.
func shared() (operations []string) {
	document, err := openapi3.NewLoader().LoadFromData(api.Contract)
	if err != nil {
		panic(err)
	}
	for _, item := range document.Paths.Map() {
		for _, operation := range item.Operations() {
			if !slices.Contains(operation.Tags, "extension") {
				operations = append(operations, operation.OperationID)
			}
		}
	}
	slices.Sort(operations)
	return operations
}

// answered has, by SDK and operation, what was answered as it should be.
var answered sync.Map

// tally notes which SDK got which answer.
type tally struct{ next http.RoundTripper }

func (t tally) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	operation := contract.OperationID(r)
	good := resp.StatusCode == http.StatusOK
	if operation == "get-reverse-dns-instance" { // there is none
		good = resp.StatusCode == http.StatusNotFound
	}
	if sdk, _, _ := strings.Cut(r.UserAgent(), "."); good {
		answered.Store(sdk+"."+operation, true)
	}
	return resp, nil
}
