import { useQuery } from "@tanstack/react-query";
import { openFlows } from "../../api/queries";
import type { Instance, OpenFlow } from "../../api/types";
import { Loaded } from "../../parts/Loaded";
import { Notice } from "../../parts/Notice";
import { Section } from "../../parts/Page";
import { Table, type Column } from "../../parts/Table";
import { localOf, remoteOf } from "../../words/flow";
import { duration } from "../../words/time";

// OpenFlows are the conversations that the instance has now.
export function OpenFlows({ instance }: { instance: Instance }) {
  const query = useQuery(openFlows(instance.id));
  return (
    <Section title="Open flows">
      <Loaded query={query}>
        {({ flows, more }) =>
          flows.length === 0 ? (
            <Notice title="Nobody talks with it right now." />
          ) : (
            <>
              <Table label="Open flows" columns={columns} count={flows.length} row={(i) => flows[i]} rowKey={keyOf} />
              {more && <p>There are more than these.</p>}
            </>
          )
        }
      </Loaded>
    </Section>
  );
}

const keyOf = (f: OpenFlow) => [f.interface, f.direction, f.protocol, localOf(f), remoteOf(f)].join(" ");

const columns: Column<OpenFlow>[] = [
  { title: "Own end", width: "minmax(140px, 1fr)", cell: localOf },
  { title: "Direction", unseen: true, width: "44px", cell: (f) => (f.direction === "ingress" ? "from" : "to") },
  { title: "Other end", width: "minmax(140px, 1fr)", cell: remoteOf },
  { title: "Protocol", width: "80px", cell: (f) => f.protocol.toUpperCase() },
  { title: "State", width: "110px", cell: (f) => f.state },
  { title: "Silent for", width: "110px", number: true, cell: (f) => duration(f["idle-seconds"]) },
];
