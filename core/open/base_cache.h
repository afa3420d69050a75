/* base_cache.h - the packed form of any base: made once, in the cache folder, and mapped from then on. */
#ifndef GT_BASE_CACHE_H
#define GT_BASE_CACHE_H

#include "comm.h"
#include "weights.h"

/* Collective (comm NULL: this process alone). Opens source with its projections in NF4 (those that are 4-bit already
 * are copied): a .gtq file below $GEMTUNE_CACHE, $XDG_CACHE_HOME/gemtune or ~/.cache/gemtune, named after the paths,
 * sizes and times of change of source's files. The first time all ranks write it together, over `threads` threads each
 * (0: the CPUs a rank may run on); later only the map is made, one shared copy a machine. Ranks on several machines
 * need one cache folder that all of them see. (*out)->path is source's: the run speaks of the model it was given. *out
 * is the caller's, source stays so. GT_ERR_DATA: as gt_gtq_write. GT_ERR_IO, GT_ERR_CONFIG. */
gt_status gt_base_pack(gt_weights **out, const gt_weights *source, bool double_quant, int threads, gt_comm *comm);

#endif
