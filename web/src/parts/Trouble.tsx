import { Button } from "@mantine/core";
import { IconCloudOff, IconHelpCircle, IconLock, IconMoodEmpty, IconPlugX } from "@tabler/icons-react";
import { Problem } from "../api/client";
import { Notice } from "./Notice";

// Trouble says why a page can't show what it is for, and what to do.
export function Trouble({ error, retry }: { error: unknown; retry?: () => void }) {
  const status = error instanceof Problem ? error.status : -1;
  const message = error instanceof Error ? error.message : "The server gave no reason.";
  const { Icon, title } = kinds[status] ?? { Icon: IconCloudOff, title: "That did not work" };
  return (
    <Notice icon={<Icon size={28} stroke={1.5} />} title={title} role={status === 501 ? undefined : "alert"}>
      <p>{message}</p>
      {retry && ![400, 403, 404, 501].includes(status) && (
        <Button variant="light" onClick={retry}>
          Try again
        </Button>
      )}
    </Notice>
  );
}

const away = { Icon: IconPlugX, title: "Not available right now" };

const kinds: Record<number, { Icon: typeof IconLock; title: string }> = {
  0: { Icon: IconCloudOff, title: "The server can't be reached" },
  400: { Icon: IconHelpCircle, title: "That can’t be answered" },
  403: { Icon: IconLock, title: "Your key may not see this" },
  404: { Icon: IconMoodEmpty, title: "There is no such thing here" },
  501: { Icon: IconPlugX, title: "This server can't tell that yet" },
  502: away,
  503: away,
  504: away,
};
