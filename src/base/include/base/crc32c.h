/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRC-32C (Castagnoli, reflected). init and final xor are the caller's: SCTP uses ~0 and ~, the model's tuple hash
 * 0 and none.
 */
#ifndef OFFKUBE_BASE_CRC32C_H
#define OFFKUBE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c_update(uint32_t crc, const void *data, size_t size);

#endif
