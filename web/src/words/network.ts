// What people write for whom a rule means: an address or a network.

// networkOf is the text as CIDR; undefined if it is not meant to be a network.
// Whether the network is a valid one, the server says.
export function networkOf(text: string): string | undefined {
  const trimmed = text.trim();
  if (/^[0-9]+(\.[0-9]+){3}(\/\d{1,3})?$/.test(trimmed)) return withLength(trimmed, 32);
  if (/^[0-9a-f:.]*:[0-9a-f:.]*(\/\d{1,3})?$/i.test(trimmed)) return withLength(trimmed.toLowerCase(), 128);
  return undefined;
}

const withLength = (text: string, bits: number) => (text.includes("/") ? text : `${text}/${bits}`);

export const isIPv6 = (network: string) => network.includes(":");

// contains tells whether the IPv4 address is within the network; of IPv6 only
// whole addresses and everybody are compared.
export function contains(network: string, address: string): boolean {
  const [base = "", length = ""] = network.split("/");
  if (isIPv6(network) !== isIPv6(address)) return false;
  if (length === "0" || base === address) return true;
  if (isIPv6(network)) return false;
  const mask = -1 << (32 - Number(length));
  return (number4(base) & mask) === (number4(address) & mask);
}

const number4 = (address: string) => address.split(".").reduce((n, part) => (n << 8) | Number(part), 0);
