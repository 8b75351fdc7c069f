// The five roles of the documentation's example, and who plays them.

export const office = "203.0.113.0/24";
export const partner = "2001:db8:77::/64"; // outside, and counts as an application server

export interface Group {
  name: string;
  description: string;
}

export const groups: Group[] = [
  { name: "common", description: "what every machine needs" },
  { name: "load-balancers", description: "face the internet" },
  { name: "application-servers", description: "do the work" },
  { name: "cache-servers", description: "remember" },
  { name: "database-servers", description: "keep" },
];

export const hosts = ["h1:lb1,app1,cache1,db1", "h2:lb2,app2,db2,admin"];

// groupsOf are the groups of each machine.
export const groupsOf: Record<string, string[]> = {
  lb1: ["common", "load-balancers"],
  lb2: ["common", "load-balancers"],
  app1: ["common", "application-servers"],
  app2: ["common", "application-servers"],
  cache1: ["common", "cache-servers"],
  db1: ["common", "database-servers"],
  db2: ["common", "database-servers"],
  admin: ["common"],
};

// commands are what builds it on the command line; by clicks it is built in journeys/five-roles.spec.ts.
export const commands: string[][] = [
  ...groups.map(({ name, description }) => ["group", "create", name, "--description", description]),
  ["rule", "add", "common", "--template", "ping"],
  ["rule", "add", "common", "--template", "ssh", "--from", office],
  ["rule", "add", "common", "--protocol", "udp", "--port", "4000-4999", "--from", "common", "--description", "gossip"],
  ["rule", "add", "load-balancers", "--template", "http", "--from", "0.0.0.0/0,::/0"],
  ["rule", "add", "application-servers", "--protocol", "tcp", "--port", "8080", "--from", "load-balancers"],
  ["rule", "add", "cache-servers", "--template", "redis", "--from", "application-servers"],
  ["rule", "add", "database-servers", "--template", "postgresql", "--from", "application-servers,database-servers"],
  ["group", "add-source", "application-servers", partner],
];
