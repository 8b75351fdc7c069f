import { useQuery } from "@tanstack/react-query";
import { useFlows } from "../../api/flows";
import { drops as dropsQuery } from "../../api/queries";
import type { Instance } from "../../api/types";
import { Ago } from "../../parts/Ago";
import { FlowTable } from "../../parts/FlowTable";
import { Loaded } from "../../parts/Loaded";
import { Notice } from "../../parts/Notice";
import { Section } from "../../parts/Page";
import { Table, type Column } from "../../parts/Table";
import { reasonWords } from "../../words/flow";

interface Drop {
  interface: string;
  reason: string;
  packets: number;
  "last-at"?: string;
}

const shown = 20; // live drops

// Drops is what did not get through: how much of each reason, and what is denied right now.
export function Drops({ instance }: { instance: Instance }) {
  const counted = useQuery(dropsQuery(instance.id));
  const { events } = useFlows({ instance: instance.id, verdict: "denied" });
  return (
    <Section title="What was dropped">
      <Loaded query={counted}>
        {(drops) =>
          drops.length === 0 ? (
            <Notice title="Nothing was dropped." />
          ) : (
            <Table
              label="Drops"
              columns={columns}
              count={drops.length}
              row={(i) => drops[i]}
              rowKey={(d) => `${d.interface} ${d.reason}`}
            />
          )
        }
      </Loaded>
      {events.length > 0 && (
        <>
          <h3>Denied right now</h3>
          <FlowTable events={events.slice(0, shown)} />
        </>
      )}
    </Section>
  );
}

const columns: Column<Drop>[] = [
  { title: "Why", width: "minmax(180px, 3fr)", cell: (d) => <span title={d.reason}>{reasonWords(d.reason)}</span> },
  { title: "Interface", width: "minmax(80px, 1fr)", cell: (d) => d.interface },
  { title: "Packets", width: "100px", number: true, cell: (d) => d.packets.toLocaleString("en") },
  { title: "Last", width: "140px", cell: (d) => d["last-at"] && <Ago time={d["last-at"]} /> },
];
