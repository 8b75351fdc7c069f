// Package store keeps the state of Gabion in etcd: objects, operations, what
// hosts report, tokens and API keys. Each change is one transaction that guards
// everything it stands on, so that it is made whole, by what is true at that
// moment, or not at all; no lock and no lease carries correctness.
//
// Below the root prefix, keys are laid out like this, one object each:
//
//	o/ORG/group/ID              group
//	o/ORG/group-name/NAME       holder: id of the group of that name
//	o/ORG/rule/GROUP/ID         rule
//	o/ORG/rule-key/GROUP/KEY    holder: id of the rule of that canonical key
//	o/ORG/instance/ID           instance
//	o/ORG/mac/MAC               holder: id of the instance that has it
//	o/ORG/address/ADDRESS       holder: id of the instance that has it
//	o/ORG/use/GROUP/instance/ID        an instance is in the group
//	o/ORG/use/GROUP/rule/GROUP/ID      a rule of another group names the group
//	o/ORG/state/ID              state of an instance
//	o/ORG/primary               holder: id of the primary group
//	o/ORG/operation/ID          operation
//	o/ORG/operation-swept       record of the audit log up to which old operations are gone
//	o/ORG/key/ID                API key, its secret sealed
//	o/ORG/key-used/ID           when the API key was last used
//	o/ORG/replay/TIME/SIGNATURE/COMMAND  operation of the request of that signature, until then
//	o/ORG/audit/SEQUENCE        record of the audit log
//	o/ORG/audit-head            sequence and hash of the last record
//	organization/ID             organization
//	organization-name/NAME      holder: id of the organization of that name
//	host/NAME                   host
//	host-status/NAME            what the host last said of itself
//	host-instance/NAME/ID       holder: organization of an instance on the host
//	interface/HOST/NAME         holder: organization and id of the instance on it
//	token/HASH                  join token
//	key/ID                      holder: organization of the API key
//	operator-key/ID             organization and end of an operator's API key
//	session/HASH                session of a browser
//	meta/schema, meta/epoch, meta/bootstrap, meta/installation
//
// The audit log of what is above organizations is that of the organization
// "installation", which does not exist otherwise.
//
// Each change of an organization writes its audit-head, which it has read: so no
// two changes of one organization are made at once, whichever server makes them,
// and what one of them counts stays so until it is made.
//
// Names of objects and their organization are in the key, everything else is in
// the value, as JSON. Keys of a name chosen by people end with it, so that no
// name reaches another object.
//
// The package must not know of HTTP, of the stream to the agents, of what policy
// means, or of eBPF.
package store
