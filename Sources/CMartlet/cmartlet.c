#include "cmartlet.h"
