import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef, useState, type CSSProperties, type ReactNode } from "react";
import classes from "./Table.module.css";

export interface Column<Row> {
  title: string;
  width: string; // a track of a CSS grid
  cell: (row: Row) => ReactNode;
  number?: boolean; // numbers stand at the right
  action?: boolean; // a button, at the end of the row
  unseen?: boolean; // its title is only for who listens
}

interface TableProps<Row> {
  label: string;
  columns: Column<Row>[];
  count: number;
  row: (index: number) => Row | undefined; // undefined: not read yet
  rowKey: (row: Row) => string;
  onWindow?: (first: number, last: number) => void; // which rows are in sight
}

const rowHeight = 49; // what a row takes as long as it was not measured
const overscan = 12;

// Table shows as many rows as there are and draws those in sight. Where it is
// narrow, a row becomes a card.
export function Table<Row>({ label, columns, count, row, rowKey, onWindow }: TableProps<Row>) {
  const body = useRef<HTMLDivElement>(null);
  const scrollMargin = useTop(body);
  const virtual = useWindowVirtualizer({ count, estimateSize: () => rowHeight, overscan, scrollMargin });
  const items = virtual.getVirtualItems();
  const [first, last] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0];
  useEffect(() => onWindow?.(first, last), [first, last, onWindow]);
  const tracks = { "--tracks": columns.map((c) => c.width).join(" ") } as CSSProperties;
  return (
    <div role="table" aria-label={label} aria-rowcount={count + 1} className={classes.table} style={tracks}>
      <div role="rowgroup">
        <div role="row" aria-rowindex={1} className={classes.head}>
          {columns.map((c) => (
            <div key={c.title} role="columnheader" data-number={c.number || undefined}>
              {c.action || c.unseen ? <span className={classes.hidden}>{c.title}</span> : c.title}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" ref={body} className={classes.body} style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const data = row(item.index);
          return (
            <div
              key={data ? rowKey(data) : item.index}
              role="row"
              aria-rowindex={item.index + 2}
              ref={virtual.measureElement}
              data-index={item.index}
              className={classes.row}
              style={{ transform: `translateY(${item.start - scrollMargin}px)` }}
            >
              {columns.map((c) => (
                <div
                  key={c.title}
                  role="cell"
                  data-title={c.unseen ? "" : c.title}
                  data-number={c.number || undefined}
                  data-action={c.action || undefined}
                >
                  {data ? c.cell(data) : <span className={classes.unread} />}
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}

// useTop is where an element begins in the document, which moves when what is above changes.
function useTop(element: React.RefObject<HTMLElement | null>): number {
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const measure = () => {
      if (element.current) setTop(Math.round(element.current.getBoundingClientRect().top + window.scrollY));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [element]);
  return top;
}
