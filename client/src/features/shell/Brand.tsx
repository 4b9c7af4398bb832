/** The mark and the name of the product. */
import classes from "./shell.module.css";

export function Brand({ withName = true }: { withName?: boolean }) {
  return (
    <span className={classes.brand}>
      <img src="/favicon.svg" width={26} height={26} alt={withName ? "" : "Estatebase"} />
      {withName && <span className={classes.name}>Estatebase</span>}
    </span>
  );
}
