package main

import "github.com/gabion/gabion"

// The roles of the product page, as groups.
const (
	common        = "common"
	loadBalancers = "load-balancers"
	appServers    = "application-servers"
	cacheServers  = "cache-servers"
	dbServers     = "database-servers"
)

// partner is outside and counts as an application server: an external source.
const partner = "2001:db8:77::/64"

// The rules. Each is what `gabion rule add` is given.
var (
	webRule     = []string{loadBalancers, "--protocol", "tcp", "--port", "80", "--from", "0.0.0.0/0,::/0", "--description", "web from everywhere"}
	firstEgress = []string{dbServers, "--protocol", "tcp", "--port", "5432", "--to", dbServers, "--description", "replication, and nothing else"}
	rules       = [][]string{
		{common, "--template", "ping"},
		{common, "--template", "ssh", "--from", "203.0.113.0/24", "--description", "ssh from the office"},
		{common, "--protocol", "udp", "--port", "4000-4999", "--from", common, "--description", "gossip among all machines"},
		webRule,
		{appServers, "--protocol", "tcp", "--port", "8080", "--from", loadBalancers},
		{cacheServers, "--protocol", "tcp", "--port", "6379", "--from", appServers},
		{dbServers, "--protocol", "tcp", "--port", "5432", "--from", appServers + "," + dbServers},
	}
)

// machine is a guest and the groups it is put into.
type machine struct {
	name   string
	host   string
	groups []string
}

var hosts = []string{"h1", "h2"}

var machines = []machine{
	{"lb1", "h1", []string{common, loadBalancers}},
	{"lb2", "h2", []string{common, loadBalancers}},
	{"app1", "h1", []string{common, appServers}},
	{"app2", "h2", []string{common, appServers}},
	{"cache1", "h1", []string{common, cacheServers}},
	{"db1", "h1", []string{common, dbServers}},
	{"db2", "h2", []string{common, dbServers}},
	{"admin", "h2", []string{common}},
}

// The protocols of services. ICMP stands for echo over either family.
const (
	tcp  = gabion.TCP
	udp  = gabion.UDP
	icmp = gabion.ICMP
)

// service is something that every machine answers on, whatever its role.
type service struct {
	letter   byte // in the matrix
	name     string
	protocol gabion.Protocol
	port     uint16
}

var services = []service{
	{'s', "ssh tcp/22", tcp, 22},
	{'w', "web tcp/80", tcp, 80},
	{'a', "app tcp/8080", tcp, 8080},
	{'c', "cache tcp/6379", tcp, 6379},
	{'d', "database tcp/5432", tcp, 5432},
	{'g', "gossip udp/4321", udp, 4321},
	{'p', "ping", icmp, 0},
}

// ports are those of one protocol that machines serve.
func ports(p gabion.Protocol) []uint16 {
	var all []uint16
	for _, s := range services {
		if s.protocol == p {
			all = append(all, s.port)
		}
	}
	return all
}
