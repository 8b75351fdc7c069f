import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { instance as instanceQuery } from "../../api/queries";
import type { ConnectionEnd, ExplainRequest, Instance, Reference } from "../../api/types";
import { useMay } from "../../shell/caller";
import { isICMP } from "../../words/service";

interface AllowThisProps {
  instance: Reference; // whose rules deny it
  other: ConnectionEnd;
  direction: "ingress" | "egress";
  request: ExplainRequest;
}

// AllowThis leads to the group where a rule would help, with the rule filled in.
export function AllowThis({ instance, other, direction, request }: AllowThisProps) {
  const may = useMay("rules");
  const own = useQuery(instanceQuery(instance.id));
  const others = useQuery({ ...instanceQuery(other.instance?.id ?? ""), enabled: other.instance !== undefined });
  if (!may || !own.data) return null;
  const peer = narrowest(others.data)?.name ?? other.address;
  const query = new URLSearchParams({ add: direction, protocol: request.protocol, peer });
  if (request.port) query.set("ports", String(request.port));
  if (isICMP(request.protocol)) query.set("message", request.protocol === "icmp" ? "8/0" : "128/0");
  return (
    <>
      <h3>Allow this</h3>
      <p>
        With a rule {direction === "ingress" ? "from" : "to"} <strong>{peer}</strong> in a group of {instance.name}:
      </p>
      {own.data["security-groups"].map((group) => (
        <Button
          key={group.id}
          component={Link}
          to={`/groups/${group.id}?${query}`}
          variant="light"
          size="compact-md"
          mr="xs"
          mb="xs"
        >
          in {group.name}
        </Button>
      ))}
    </>
  );
}

// narrowest is the group that says most about what the instance is for: not the one that all have.
function narrowest(instance: Instance | undefined): Reference | undefined {
  const groups = instance?.["security-groups"] ?? [];
  return groups.findLast((g) => g.name !== "default") ?? groups[0];
}
