import type { ReactNode } from "react";
import classes from "./Notice.module.css";

interface NoticeProps {
  icon?: ReactNode;
  title: string;
  role?: "alert" | undefined;
  children?: ReactNode;
}

// Notice stands where there is nothing else to show: an empty list, or an error.
export function Notice({ icon, title, role, children }: NoticeProps) {
  return (
    <div className={classes.notice} role={role}>
      {icon}
      <p className={classes.title}>{title}</p>
      <div className={classes.words}>{children}</div>
    </div>
  );
}
