import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { group as groupQuery } from "../api/queries";
import type { Group } from "../api/types";
import { Loaded } from "../parts/Loaded";
import { Page } from "../parts/Page";
import { Search } from "../parts/Search";
import { useMay } from "../shell/caller";
import { AddRule } from "./group/AddRule";
import { GroupActions } from "./group/GroupActions";
import { GroupUse } from "./group/GroupUse";
import { RuleList } from "./group/RuleList";
import { Sources } from "./group/Sources";
import { Templates } from "./group/Templates";

export function GroupPage() {
  const { id = "" } = useParams();
  const query = useQuery(groupQuery(id));
  return <Loaded query={query}>{(group) => <Shown key={id} group={group} />}</Loaded>;
}

function Shown({ group }: { group: Group }) {
  const may = useMay("rules");
  const many = (group.rules?.length ?? 0) > 15;
  return (
    <Page title={group.name} about={group.description} actions={<GroupActions group={group} />}>
      <GroupUse group={group} />
      {many && <Search label="Search rules" />}
      <RuleList group={group} direction="ingress" title="Who may reach its instances">
        {may && (
          <>
            <Templates group={group} />
            <AddRule group={group} direction="ingress" />
          </>
        )}
      </RuleList>
      <RuleList group={group} direction="egress" title="Whom its instances may reach">
        {may && <AddRule group={group} direction="egress" />}
      </RuleList>
      <Sources group={group} />
    </Page>
  );
}
