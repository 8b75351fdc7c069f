package api

import (
	"net/http"
	"sync"

	"sigs.k8s.io/yaml"

	contract "github.com/gabion/gabion/api"
)

// contractJSON is the contract as programs read it.
var contractJSON = sync.OnceValues(func() ([]byte, error) { return yaml.YAMLToJSON(contract.Contract) })

// GetContract answers the contract.
func (a *api) GetContract(w http.ResponseWriter, r *http.Request) {
	document, err := contractJSON()
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// An error here means that the caller has gone.
	_, _ = w.Write(document)
}
