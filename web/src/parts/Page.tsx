import { useEffect, useRef, type ReactNode } from "react";
import classes from "./Page.module.css";

interface PageProps {
  title: string;
  about?: ReactNode; // one line below the title
  actions?: ReactNode;
  children: ReactNode;
}

// Page is a page's frame. Its heading takes the focus, so that who listens hears where they are.
export function Page({ title, about, actions, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Gabion`;
  }, [title]);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <>
      <div className={classes.top}>
        <div className={classes.words}>
          <h1 ref={heading} tabIndex={-1} className={classes.title}>
            {title}
          </h1>
          {about && <div className={classes.about}>{about}</div>}
        </div>
        <div className={classes.actions}>{actions}</div>
      </div>
      {children}
    </>
  );
}

// Section is a titled part of a page.
export function Section({ title, aside, children }: { title: ReactNode; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className={classes.section}>
      <div className={classes.sectionTop}>
        <h2 className={classes.sectionTitle}>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}
