import { Kbd, Modal, Table } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { useState } from "react";

const shortcuts: [keys: string, what: string][] = [
  ["/", "search on this page"],
  ["n", "new: what this page can add"],
  ["Ctrl K", "go anywhere: the command palette"],
  ["?", "this list"],
  ["Esc", "close, or leave a field"],
];

// Shortcuts listens to the keys of every page. A page says by data-shortcut which
// element a key is for.
export function Shortcuts() {
  const [open, setOpen] = useState(false);
  useHotkeys([
    ["/", () => reach("search")],
    ["n", () => reach("new")],
    ["?", () => setOpen(true)],
    ["shift+?", () => setOpen(true)], // as most keyboards write it
  ]);
  return (
    <Modal opened={open} onClose={() => setOpen(false)} title="Keys">
      <Table>
        <Table.Tbody>
          {shortcuts.map(([keys, what]) => (
            <Table.Tr key={keys}>
              <Table.Td>
                <Kbd>{keys}</Kbd>
              </Table.Td>
              <Table.Td>{what}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}

// reach goes to a field, and presses a button.
function reach(shortcut: string) {
  const target = document.querySelector<HTMLElement>(`[data-shortcut="${shortcut}"]`);
  if (target instanceof HTMLButtonElement) target.click();
  else target?.focus();
}
