import type { ReactNode } from 'react';
import classes from '../pages/lists.module.css';
import { Icon } from './Icon';

interface Props {
  name: string;
  open: boolean;
  onToggle: () => void;
  children: ReactNode;
}

export function PoolHead({ name, open, onToggle, children }: Props) {
  return (
    <div className={classes.groupHead}>
      <button type="button" className={classes.poolButton} aria-expanded={open} onClick={onToggle}>
        <Icon name="chevron" size={12} />
        <h2>{name}</h2>
      </button>
      {children}
    </div>
  );
}
