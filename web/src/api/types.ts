// The contract's objects by the names that the console uses.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type AuditRecord = Schemas["AuditRecord"];
export type ConnectionEnd = Schemas["ConnectionEnd"];
export type CreatedKey = Schemas["CreatedAPIKey"];
export type ExplainRequest = Schemas["ExplainRequest"];
export type Explanation = Schemas["Explanation"];
export type FlowEvent = Schemas["FlowEvent"];
export type Group = Schemas["SecurityGroup"];
export type GroupSummary = Schemas["SecurityGroupSummary"];
export type Host = Schemas["Host"];
export type Instance = Schemas["Instance"];
export type Key = Schemas["APIKey"];
export type NearRule = Schemas["NearRule"];
export type NewInstance = Schemas["CreateInstanceRequest"];
export type NewRule = Schemas["AddRuleRequest"];
export type OpenFlow = Schemas["OpenFlow"];
export type Operation = Schemas["Operation"];
export type Organization = Schemas["Organization"];
export type Direction = Schemas["FlowDirection"];
export type Protocol = Schemas["Protocol"];
export type Quotas = Schemas["Quotas"];
export type Reference = Schemas["Reference"];
export type Rule = Schemas["SecurityGroupRule"];
export type RuleHit = Schemas["RuleHit"];
export type Scope = Schemas["Scope"];
export type Session = Schemas["Session"];
export type Template = Schemas["TemplateRule"];
export type PeerlessRule = Schemas["PeerlessRule"];
export type Usage = Schemas["SecurityGroupUsage"];
