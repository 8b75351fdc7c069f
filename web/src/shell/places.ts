import {
  IconArrowsExchange,
  IconBuilding,
  IconHelpCircle,
  IconHistory,
  IconKey,
  IconMap2,
  IconServer,
  IconServer2,
  IconShield,
  type Icon,
} from "@tabler/icons-react";

export interface Place {
  path: string;
  title: string;
  answers: string; // the question that the page answers
  Icon: Icon;
  operator?: boolean; // for operators only
}

export const places: Place[] = [
  { path: "/groups", title: "Groups", answers: "What walls do I have?", Icon: IconShield },
  { path: "/instances", title: "Instances", answers: "What reaches a machine?", Icon: IconServer },
  { path: "/map", title: "Map", answers: "Who can talk to whom?", Icon: IconMap2 },
  { path: "/explain", title: "Explain", answers: "Why does a connection work, or not?", Icon: IconHelpCircle },
  { path: "/flows", title: "Flows", answers: "What is happening right now?", Icon: IconArrowsExchange },
  { path: "/hosts", title: "Hosts", answers: "Does everything hold?", Icon: IconServer2, operator: true },
  { path: "/activity", title: "Activity", answers: "Who changed what?", Icon: IconHistory },
  { path: "/keys", title: "Keys", answers: "Who may do what?", Icon: IconKey },
  { path: "/organization", title: "Organization", answers: "How much is left?", Icon: IconBuilding },
];
