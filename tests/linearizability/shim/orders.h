/* orders.h: what the driver wants a disk to do at the moment. */
#ifndef ORDERS_H
#define ORDERS_H

/* Whether this order stands, and is about this file of that process. */
int is_ordered(const char *order, int pid, int fd);

#endif
