package contract

import "net/http"

// OperationID names the operation of the contract that the request asks for; empty
// if it asks for none.
func OperationID(r *http.Request) string {
	find, err := router()
	if err != nil {
		return ""
	}
	route, _, err := find.FindRoute(r)
	if err != nil {
		return ""
	}
	return route.Operation.OperationID
}
