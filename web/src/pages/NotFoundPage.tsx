import { Anchor } from "@mantine/core";
import { Link } from "react-router";
import { Notice } from "../parts/Notice";
import { Page } from "../parts/Page";

export function NotFoundPage() {
  return (
    <Page title="No such page">
      <Notice title="Nothing is at this address.">
        <Anchor component={Link} to="/groups">
          Go to the groups
        </Anchor>
      </Notice>
    </Page>
  );
}
