// Package api is the contract of the HTTP surface, as a document. Server, client
// and console types are generated from it; it holds no behaviour and must not
// import anything of the project.
package api

import _ "embed"

// Contract is the OpenAPI document, in YAML.
//
//go:embed openapi.yaml
var Contract []byte
